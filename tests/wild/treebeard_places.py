"""django-treebeard's trees of paths, into which two nodes are put at once."""

import warnings

from django.db import models
from racing import race, set_up

set_up("django.contrib.contenttypes", "django.contrib.auth", "treebeard")
warnings.simplefilter("ignore")  # of version 7: names that it will have no more

from treebeard.mp_tree import MP_Node  # noqa: E402  Django is set up before


class Place(MP_Node):
    name = models.CharField(max_length=20)

    class Meta:
        app_label = "places"
        db_table = "places"


def make():
    Place.add_root(name="Italy").add_child(name="Rome")


def add_root(name):
    return lambda: Place.add_root(name=name)


def add_child(name):
    return lambda: Place.objects.get(name="Italy").add_child(name=name)


race(
    Place,
    {
        "first root": (lambda: None, add_root("France"), add_root("Spain")),
        "root": (make, add_root("France"), add_root("Spain")),
        "child": (make, add_child("Milan"), add_child("Turin")),
    },
)
