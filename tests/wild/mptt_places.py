"""django-mptt's trees of intervals, into which two nodes are put at once."""

from django.db import models
from racing import race, set_up

set_up("django.contrib.contenttypes", "django.contrib.auth", "mptt")

from mptt.models import MPTTModel, TreeForeignKey  # noqa: E402  Django is set up before


class Place(MPTTModel):
    name = models.CharField(max_length=20)
    parent = TreeForeignKey("self", models.CASCADE, null=True)

    class Meta:
        app_label = "places"
        db_table = "places"


def make():
    Place.objects.create(name="Italy")


def add_root(name):
    return lambda: Place.objects.create(name=name)


def add_child(name):
    return lambda: Place.objects.create(name=name, parent=Place.objects.get(name="Italy"))


race(
    Place,
    {
        "root": (lambda: None, add_root("France"), add_root("Spain")),
        "child": (make, add_child("Milan"), add_child("Turin")),
    },
)
