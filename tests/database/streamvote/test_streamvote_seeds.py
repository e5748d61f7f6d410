"""A seeded streamvote: every invariant holds on it, whatever its size, on both engines, and when more is added."""

import hashlib
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from integrity.database.namespace import guard
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.reference.streamvote.schema import METADATA
from integrity.reference.streamvote.seeds import tables
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.seeds.load import Mode, Seeded, seed_system
from tests.database.streamvote.world import FILES, NOW
from tests.database.worlds import PostgresEngine, SqliteEngine

TABLES = [table.name for table in METADATA.sorted_tables]


@pytest.fixture(params=["postgresql", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return Target.parse(f"sqlite:///{tmp_path}/votes.db")
    database: Target = request.getfixturevalue("database")
    return database


def seed(target: Target, wallets: int, streamers: int = 10, *, number: int = 7, mode: Mode = Mode.NEW) -> Seeded:
    sizes = {"wallets": wallets, "streamers": streamers}
    return seed_system(target, guard(target, None), STREAMVOTE, sizes=sizes, seed=number, mode=mode)


def violated(target: Target) -> set[str]:
    if target.dialect == "sqlite":
        with closing(target.connect_sqlite(("streamvote", "integrity"))) as connection:
            return {name for name, file in FILES.items() if SqliteEngine(connection).run(file, file.values({}, now=NOW))}
    with closing(target.connect()) as connection:
        engine = PostgresEngine(connection)
        return {name for name, file in FILES.items() if engine.run(file, file.values({}, now=NOW))}


def query(target: Target, text: str) -> list[tuple[Any, ...]]:
    with transaction(target, ("streamvote", "integrity")) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(text)]


def contents_of(target: Target) -> dict[str, str]:
    """Return a hash of each table's rows, spelled alike on both engines."""

    def spell(value: object) -> str:
        match value:
            case datetime():
                return value.strftime("%Y-%m-%d %H:%M:%S.%f")
            case bool():
                return str(int(value))
            case _:
                return str(value)

    hashes = {}
    for table in METADATA.sorted_tables:
        names = ", ".join(column.name for column in table.columns)
        found = query(target, f"select {names} from {table.fullname} order by 1")
        text = "\n".join("|".join(map(spell, row)) for row in found)
        hashes[table.name] = hashlib.sha256(text.encode()).hexdigest()
    return hashes


@pytest.mark.parametrize(("wallets", "streamers"), [(1, 1), (3, 2), (600, 10)])
def test_every_invariant_holds_whatever_the_size(target: Target, wallets: int, streamers: int) -> None:
    seeded = seed(target, wallets, streamers)
    for table, count in seeded.row_counts.items():
        assert query(target, f"select count(*) from streamvote.{table}") == [(count,)]
    assert violated(target) == set()


def test_every_table_is_filled(database: Target) -> None:
    assert {table for table, count in seed(database, 600).row_counts.items() if count} == set(TABLES)


def test_the_same_seed_makes_the_same_rows_on_every_engine(database: Target, tmp_path: Path) -> None:
    sqlite = Target.parse(f"sqlite:///{tmp_path}/votes.db")
    for each in (database, sqlite):
        seed(each, 300)
        seed(each, 100, 3, number=8, mode=Mode.APPEND)
    assert contents_of(database) == contents_of(sqlite)


def test_more_can_be_added_to_what_a_run_left(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """In several batches, beside rows with ids of their own, and under rules that have changed since."""
    monkeypatch.setattr(tables, "WALLETS_A_BATCH", 100)
    seed(target, 150)
    before = query(target, "select * from streamvote.wallets order by id")
    with transaction(target, ("streamvote",)) as connection:
        connection.exec_driver_sql("insert into streamvote.rules (votes_per_window, star_price_minor) values (6, 15)")
        connection.exec_driver_sql("insert into streamvote.wallets (handle) values ('new')")
    seed(target, 250, mode=Mode.APPEND)

    assert query(target, "select * from streamvote.wallets where id <= 150 order by id") == before
    assert query(target, "select count(*), max(id) from streamvote.wallets") == [(401, 401)]
    assert query(target, "select count(*) from streamvote.rules") == [(2,)]
    assert query(target, "select distinct limit_count from streamvote.rate_windows where wallet_id > 151") == [(6,)]
    assert violated(target) == set()


def test_everything_happens_in_the_declared_week(database: Target) -> None:
    seed(database, 600)
    ((least, most),) = query(database, "select min(sent_at), max(sent_at) from streamvote.event_updates")
    assert (least.isoformat() >= "2026-01-12T19:00:00+00:00", most.isoformat() <= "2026-01-18T22:45:00+00:00") == (
        True,
        True,
    )
    days = query(database, "select distinct date(voted_at) from streamvote.votes")
    assert len(days) == 7


def test_every_state_that_does_not_grow_old_is_there(database: Target) -> None:
    """An invoice that is open or paid would be stuck by now: those are left to runs."""
    seed(database, 600)
    assert query(database, "select distinct status from streamvote.invoices order by 1") == [("credited",), ("expired",)]
    assert query(database, "select distinct status from streamvote.live_events order by 1") == [("closed",), ("open",)]
    assert query(database, "select distinct is_accepted from streamvote.votes order by 1") == [(False,), (True,)]
    assert query(database, "select distinct kind from streamvote.webhook_events order by 1") == [("failed",), ("paid",)]
