"""A wallet of Django's, raced by functions: prints what comes of it. Started with the address of an empty database."""

import json
import sys
import unittest

import django
from django.conf import settings
from django.db import connection, models, transaction
from django.test import TestCase, TransactionTestCase

from integrity import CallRace
from integrity.engines.target import Target

TARGET = Target.parse(sys.argv[1])
URL = TARGET.url
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": URL.database,
            "USER": URL.username,
            "HOST": URL.host or URL.query.get("host"),
            "PORT": URL.port or URL.query.get("port"),
        }
    }
)
django.setup()
TOLD = {}


class Wallet(models.Model):
    balance = models.IntegerField()

    class Meta:
        app_label = "wallets"
        db_table = "wallets"


@transaction.atomic
def pay():
    wallet = Wallet.objects.get()
    wallet.balance -= 10
    wallet.save()


@transaction.atomic
def pay_locked():
    wallet = Wallet.objects.select_for_update().get()
    wallet.balance -= 10
    wallet.save()


def race(function):
    with CallRace(TARGET, test_database=URL.database) as raced:
        raced.django()
        return raced(function)


class Hidden(TestCase):
    def test_rows_of_its_own(self):
        try:
            race(pay_locked)
        except Exception as error:
            TOLD["in a TestCase"] = str(error)


class Committed(TransactionTestCase):
    def test_rows_of_its_own(self):
        Wallet.objects.create(balance=100)
        race(pay_locked).holds()
        TOLD["behind TransactionTestCase"] = "raced"


with connection.schema_editor() as editor:
    editor.create_model(Wallet)
Wallet.objects.create(balance=100)
connection.close()
try:
    race(pay).holds()
except AssertionError as error:
    TOLD["racy"] = str(error)
TOLD["sound"] = "exhausted" if race(pay_locked).holds().found.coverage.is_exhaustive else "cut"
TOLD["after"] = list(Wallet.objects.values_list("balance", flat=True))
Wallet.objects.all().delete()
for case in (Committed, Hidden):
    unittest.TextTestRunner(stream=sys.stderr).run(unittest.defaultTestLoader.loadTestsFromTestCase(case))
print(json.dumps(TOLD))
