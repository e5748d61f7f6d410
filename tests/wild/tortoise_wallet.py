"""A model of Tortoise's, raced in one loop: prints what came of a read and a save, and of the same behind a lock."""

import asyncio
import json
import sys

from tortoise import Tortoise, fields
from tortoise.models import Model
from tortoise.transactions import in_transaction

from integrity.engines.target import Target
from integrity.jobs.calls_raced import NotHeld
from integrity.jobs.race_calls import CallRace


class Wallet(Model):
    id = fields.IntField(primary_key=True)
    balance = fields.IntField()

    class Meta:
        table = "wallets"


def begin(url: str) -> None:
    asyncio.run(Tortoise.init(db_url=url, modules={"models": [__name__]}))


async def pay(*, is_locked: bool) -> None:
    async with in_transaction():
        chosen = Wallet.filter(id=1)
        wallet = await (chosen.select_for_update() if is_locked else chosen).get()
        wallet.balance -= 30
        await wallet.save()


async def racy() -> None:
    await pay(is_locked=False)


async def locked() -> None:
    await pay(is_locked=True)


target = Target.parse(sys.argv[1])
with CallRace(target, test_database=target.url.database) as race:
    address, port = race.url.partition("@")[2].partition("/")[0].split(":")
    begin(f"asyncpg://{target.url.username}@{address}:{port}/{target.url.database}?maxsize=3")
    told = {}
    try:
        race(racy).holds()
    except NotHeld as error:
        told["racy"] = str(error)
    sound = race(locked).holds()
    told["sound"] = "exhausted" if sound.found.coverage.is_exhaustive else sound.text
print(json.dumps(told))
