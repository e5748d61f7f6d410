"""Races functions of released Django packages: what the programs beside this have in common.

Each is started in an environment of its own, with the address of an empty database, and prints what was found as JSON.
"""

import json
import sys

import django
from django.conf import settings
from django.db import connection

from integrity import CallRace
from integrity.engines.target import Target

TARGET = Target.parse(sys.argv[1])


def set_up(*apps):
    """Let Django work on the database."""
    url = TARGET.url
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.database,
        "USER": url.username,
        "HOST": url.host or url.query.get("host"),
        "PORT": url.port or url.query.get("port"),
    }
    settings.configure(
        DATABASES={"default": database}, INSTALLED_APPS=apps, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField"
    )
    django.setup()


def race(model, cases, *, preemptions=2):
    """Print what comes of each case: a name, what makes its rows, and two calls."""
    with connection.schema_editor() as editor:
        editor.create_model(model)
    told = {}
    for name, (make, *calls) in cases.items():
        with connection.cursor() as cursor:
            cursor.execute(f"delete from {model._meta.db_table}")
        make()
        connection.close()
        with CallRace(TARGET, test_database=TARGET.url.database, preemptions=preemptions) as raced:
            raced.django()
            result = raced(*calls)
        hits = result.found.hits
        told[name] = {
            "verdict": str(result.verdict.value),
            "schedule": hits[0].run.letters if hits else "",
            "cut": list(result.found.coverage.cut),
        }
    print(json.dumps(told))
