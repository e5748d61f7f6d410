"""A model of peewee's, raced: prints what came of a read and a save, and of the same behind a lock."""

import json
import sys

from peewee import IntegerField, Model, PostgresqlDatabase

from integrity.engines.target import Target
from integrity.jobs.calls_raced import NotHeld
from integrity.jobs.race_calls import CallRace

database = PostgresqlDatabase(None)


class Wallet(Model):
    balance = IntegerField()

    class Meta:
        database = database
        table_name = "wallets"


def pay(*, is_locked: bool) -> None:
    with database.connection_context(), database.atomic():
        chosen = Wallet.select().where(Wallet.id == 1)
        wallet = (chosen.for_update() if is_locked else chosen).get()
        wallet.balance -= 30
        wallet.save()


target = Target.parse(sys.argv[1])
with CallRace(target, test_database=target.url.database) as race:
    database.init(race.url)
    told = {}
    try:
        race(lambda: pay(is_locked=False)).holds()
    except NotHeld as error:
        told["racy"] = str(error)
    sound = race(lambda: pay(is_locked=True)).holds()
    told["sound"] = "exhausted" if sound.found.coverage.is_exhaustive else sound.text
print(json.dumps(told))
