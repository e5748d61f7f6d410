"""Races of functions on what leads its own connections: SQLAlchemy, sync and async, and Django."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from integrity.engines.target import Target
from integrity.errors import DatabaseError
from integrity.jobs.calls_raced import NotHeld
from integrity.jobs.race_calls import CallRace
from tests.database.registries import install_pip

SCHEMA = b"create table wallets (id int primary key, balance int not null); insert into wallets values (1, 100)"
DJANGO = Path(__file__).parents[1] / "wild" / "django_wallet.py"


class Base(DeclarativeBase):
    pass


class Wallet(Base):
    __tablename__ = "wallets"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


@pytest.fixture
def wallets(database: Target) -> Iterator[CallRace]:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA)
        connection.commit()
    with CallRace(database, test_database=database.url.database) as race:
        yield race


def test_sessions_of_an_engine_are_raced_and_rows_that_a_test_keeps_to_itself_are_refused(
    database: Target, wallets: CallRace
) -> None:
    engine = create_engine(database.text.replace("postgresql://", "postgresql+psycopg://"))
    wallets.sqlalchemy(engine)

    def pay(*, is_locked: bool) -> None:
        with Session(engine) as session, session.begin():
            statement = select(Wallet).where(Wallet.id == 1)
            wallet = session.scalars(statement.with_for_update() if is_locked else statement).one()
            wallet.balance -= 10

    # the first connection of an engine asks what the server is under a lock: a call that is held there holds the other
    assert wallets(lambda: pay(is_locked=True)).holds().found.coverage.is_exhaustive
    with pytest.raises(NotHeld, match="lost update"):
        wallets(lambda: pay(is_locked=False)).holds()

    with engine.connect() as connection, connection.begin():  # as the documented fixture of a test's own transaction has it
        session = Session(bind=connection, join_transaction_mode="create_savepoint")
        session.add(Wallet(id=2, balance=100))
        session.commit()
        with pytest.raises(DatabaseError, match=r"(?s)still open.*no other connection sees"):
            wallets(lambda: pay(is_locked=True))


def test_sessions_of_an_async_engine_are_raced_in_one_loop(database: Target, wallets: CallRace) -> None:
    engine = create_async_engine(database.text.replace("postgresql://", "postgresql+asyncpg://"))
    wallets.sqlalchemy(engine)

    async def pay(*, is_locked: bool) -> None:
        async with AsyncSession(engine) as session, session.begin():
            wallet = await session.get(Wallet, 1, with_for_update=is_locked)
            assert wallet is not None
            wallet.balance -= 10

    with pytest.raises(NotHeld, match="lost update"):
        wallets(lambda: pay(is_locked=False)).holds()
    assert wallets(lambda: pay(is_locked=True)).holds().found.coverage.is_exhaustive


def test_a_model_of_djangos_is_raced_and_a_tests_transaction_is_refused(database: Target) -> None:
    command = [sys.executable, str(DJANGO), database.text]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "lost update" in told["racy"]
    assert told["sound"] == "exhausted"
    assert told["after"] == [100]
    assert "whose rows no other connection sees" in told["in a TestCase"]
    assert told["behind TransactionTestCase"] == "raced"


ORMS = {
    "peewee": ("peewee==3.18.2",),
    "tortoise": ("tortoise-orm==0.25.1", "pypika-tortoise==0.6.5", "iso8601==2.1.0", "aiosqlite==0.22.1", "pytz==2024.2"),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ORMS)
def test_a_model_of_another_orms_is_raced_on_its_own_connections(name: str, database: Target, tmp_path: Path) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA)
        connection.commit()
    place = install_pip(tmp_path, ORMS[name])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(Path(__file__).parents[2])])}
    program = Path(__file__).parents[1] / "wild" / f"{name}_wallet.py"
    command = [sys.executable, str(program), database.text]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "lost update" in told["racy"], told
    assert told["sound"] == "exhausted"
