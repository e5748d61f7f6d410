"""Django's `update_or_create` where another one creates the row meanwhile and goes on to change it."""

from django.db import models
from racing import race, set_up

set_up()


class Person(models.Model):
    name = models.CharField(max_length=20, unique=True)
    city = models.CharField(max_length=20, default="")
    phone = models.CharField(max_length=20, default="")

    class Meta:
        app_label = "people"
        db_table = "people"


def call_up():
    Person.objects.get_or_create(name="ann")
    Person.objects.filter(name="ann").update(phone="1")


def move():
    Person.objects.update_or_create(name="ann", defaults={"city": "Rome"})


race(Person, {"update_or_create": (lambda: None, call_up, move)}, preemptions=3)
