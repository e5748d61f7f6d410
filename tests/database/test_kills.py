"""Whatever kills a command leaves all of its work or nothing, and nothing that the next command does not clean up."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from integrity.cli.main import main
from integrity.database.copies import find_forgotten, list_copies, restore_copy, take_copy
from integrity.database.namespace import count_rows, create_schemas, drop_schemas, inspect_database
from integrity.engines.postgresql.temporary import PREFIX, drop_left_over, temporary_name
from integrity.engines.target import Target
from integrity.errors import DatabaseError
from integrity.health.after import check_after
from integrity.project import find_project
from integrity.reference.ghostpass.system import GHOSTPASS
from tests.database.killing import kill_before, signal_behind


@pytest.fixture
def venue(database: Target) -> Iterator[Target]:
    """A database of ours with one wallet; its snapshots are dropped after the test."""
    create_schemas(database, [GHOSTPASS])
    with closing(database.connect()) as server:
        server.execute("insert into ghostpass.wallets (code, balance_minor) values ('W1', 100)")
    yield database
    with closing(_maintenance(database)) as server:
        for name in (*snapshots(database), *temporary(database)):
            server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _maintenance(target: Target) -> "psycopg.Connection[tuple[str]]":
    return Target(target.url.set(database="postgres")).connect()


def _named(target: Target, beginning: str) -> list[str]:
    with closing(_maintenance(target)) as server:
        found = server.execute("select datname from pg_database where starts_with(datname, %s)", (beginning,))
        return [name for (name,) in found.fetchall()]


def snapshots(target: Target) -> list[str]:
    return _named(target, f"{target.url.database}_")


def temporary(target: Target) -> list[str]:
    return _named(target, PREFIX)


def codes(target: Target) -> list[str]:
    with closing(target.connect()) as server:
        return [code for (code,) in server.execute("select code from ghostpass.wallets order by code").fetchall()]


def take(target: Target) -> None:
    take_copy(target, "seeded", test_database=None, may_end_sessions=False)


def restore(target: Target) -> None:
    restore_copy(target, "seeded", test_database=None, may_end_sessions=False)


def test_a_snapshot_that_was_killed_is_found_and_does_not_block_its_name(venue: Target, tmp_path: Path) -> None:
    assert kill_before(venue, "comment on database", "snapshot", "seeded", folder=tmp_path)

    assert find_forgotten(venue) == temporary(venue) != []
    assert list_copies(venue) == []
    checks = {check.name: check for check in check_after(venue, [], find_project(tmp_path))}
    assert temporary(venue)[0] in checks["temporary databases"].found
    take(venue)
    assert [copy.name for copy in list_copies(venue)] == ["seeded"]
    assert temporary(venue) == []


@pytest.mark.parametrize(
    ("statement", "expected"),
    [("alter database", ["W1", "W2"]), ('drop database if exists "integrity_tmp_replaced', ["W1"])],
    ids=["before the names are swapped", "before the old one is dropped"],
)
def test_a_restore_that_was_killed_leaves_the_old_or_the_new(
    venue: Target, tmp_path: Path, statement: str, expected: list[str]
) -> None:
    take(venue)
    with closing(venue.connect()) as server:
        server.execute("insert into ghostpass.wallets (code) values ('W2')")

    assert kill_before(venue, statement, "restore", "seeded", "--yes", folder=tmp_path)

    assert codes(venue) == expected
    assert len(find_forgotten(venue)) == 1
    restore(venue)
    assert (codes(venue), temporary(venue)) == (["W1"], [])


def test_what_a_killed_race_made_is_dropped_by_the_next(venue: Target, tmp_path: Path) -> None:
    assert kill_before(venue, "CREATE SCHEMA", "race", "ghostpass", "sell", "--schedule", "AB", folder=tmp_path)
    assert len(find_forgotten(venue)) == 1
    with venue.make_scratch("race") as scratch:
        assert temporary(venue) == [scratch.url.database]
    assert temporary(venue) == []


SOON = ("race", "ghostpass", "sell", "--schedule", "AB")
SCRATCHES = {
    "race": ("create database", SOON),
    "race, filled": ("CREATE SCHEMA", SOON),
    "queries": ("create database", ("queries", "run", "--system", "ghostpass", "--scale", "0.01")),
    "snapshot": ("create database", ("snapshot", "seeded")),
}


@pytest.mark.parametrize(("what", "number"), [(what, signal.SIGTERM) for what in SCRATCHES] + [("race", signal.SIGINT)])
def test_a_command_that_is_told_to_end_leaves_no_database_and_says_that_it_was(
    venue: Target, tmp_path: Path, what: str, number: int
) -> None:
    """Also while the server makes it, when the command has not heard yet that it is there."""
    statement, words = SCRATCHES[what]
    code, noted = signal_behind(venue, number, statement, *words, folder=tmp_path)
    assert (code, noted.splitlines()[-2:]) == (130, ["signalled", "integrity: interrupted"])
    assert temporary(venue) == []


def test_a_rollback_whose_session_is_ended_by_the_server_says_so(venue: Target) -> None:
    with ThreadPoolExecutor() as pool, closing(venue.connect()) as other, closing(venue.connect()) as looking:
        other.execute("begin")
        other.execute("lock table ghostpass.wallets in share mode")
        waiting = pool.submit(drop_schemas, venue)
        ended = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and datname = %s"
        while not looking.execute(ended, (venue.url.database,)).fetchall():
            assert not waiting.done()
        with pytest.raises(DatabaseError, match="terminating connection due to administrator command"):
            waiting.result(timeout=60)
        other.execute("rollback")
    assert codes(venue) == ["W1"]


def test_a_temporary_database_that_a_living_command_works_on_stays(venue: Target) -> None:
    """Of another machine as well: what shows that it lives is its session on the server, not a process of ours."""
    with closing(_maintenance(venue)) as maker, closing(venue.connect()) as other:
        with temporary_name(maker, "race") as name:
            maker.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            assert drop_left_over(other) == []
            assert temporary(venue) == [name]
            other.execute("select pg_terminate_backend(%s, 10000)", (maker.info.backend_pid,))
        assert drop_left_over(other) == [name]


def test_a_database_that_is_only_called_like_one_of_ours_stays(venue: Target) -> None:
    name = f"{PREFIX}race_0123456789ab0123456789ab"
    with closing(_maintenance(venue)) as server:
        server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        assert drop_left_over(server) == []
        server.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


def test_a_label_that_came_from_another_database_is_nobodys(venue: Target) -> None:
    take(venue)
    mine = f"{venue.url.database}_mine"
    with closing(_maintenance(venue)) as server:
        server.execute(sql.SQL("create database {} allow_connections false").format(sql.Identifier(mine)))
        found = server.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = %s",
            (f"{venue.url.database}_snapshot_seeded",),
        ).fetchone()
        assert found is not None
        label = found[0].replace("seeded", "mine")
        server.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(mine), sql.Literal(label)))
    assert [copy.name for copy in list_copies(venue)] == ["seeded"]


def test_a_label_of_somebody_whom_we_do_not_trust_is_nobodys(venue: Target) -> None:
    with closing(_maintenance(venue)) as server:
        server.execute("drop role if exists stranger")
        server.execute("create role stranger createdb login")
    place = f"{venue.url.database}_snapshot_forged"
    label = (
        f'{{"integrity": {{"kind": "snapshot", "name": "forged", "of": "{venue.url.database}", "taken_at": "2026-01-01"}}}}'
    )
    try:
        with closing(Target(venue.url.set(username="stranger", database="postgres")).connect()) as stranger:
            stranger.execute(sql.SQL("create database {} allow_connections false").format(sql.Identifier(place)))
            stranger.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(place), sql.Literal(label)))
        assert list_copies(venue) == []
    finally:
        with closing(_maintenance(venue)) as server:
            server.execute(sql.SQL("drop database {}").format(sql.Identifier(place)))
            server.execute("drop role stranger")


@dataclass(frozen=True)
class Killed:
    """A command that is killed, and how many wallets there may be then, and are when it was given again.

    Args:
        prepared: the commands before it.
        codes: that the second try may end with: what is made already is said.
    """

    words: tuple[str, ...]
    prepared: tuple[tuple[str, ...], ...]
    between: frozenset[int]
    at_last: int
    codes: frozenset[int] = frozenset({0})


SEED = ("seed", "--system", "ghostpass", "--wallets", "20")
KILLED = {
    "seed": Killed(SEED, (), frozenset({0, 20}), 20, frozenset({0, 2})),
    "append": Killed((*SEED, "--append"), (SEED,), frozenset({20, 40}), 40),
    "replace": Killed((*SEED, "--replace"), ((*SEED, "--seed", "2"),), frozenset({20}), 20),
    "rollback": Killed(("rollback", "--yes"), (SEED,), frozenset({0, 20}), 0),
    "snapshot": Killed(("snapshot", "kept"), (SEED,), frozenset({20}), 20, frozenset({0, 2})),
    "restore": Killed(
        ("restore", "kept", "--yes"), (SEED, ("snapshot", "kept"), (*SEED, "--append")), frozenset({20, 40}), 20
    ),
    "race": Killed(("race", "ghostpass", "sell", "--schedule", "AB"), (SEED,), frozenset({20}), 20),
}
NORMAL = {("append", 4), ("rollback", 12)}
"""What the suite plays of these; the proof plays all."""


def give(target: Target, folder: Path, *words: str) -> int:
    """Return the exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--database", target.text, "--project", str(folder)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def wallets(target: Target) -> int:
    """Return how many wallets there are; every table of ours is there, or none."""
    contents = inspect_database(target)
    assert contents.foreign == ()
    if not contents.is_ours:
        return 0
    assert set(contents.ours["ghostpass"]) == {table.name for table in GHOSTPASS.metadata.sorted_tables}
    return count_rows(target, "ghostpass", ["wallets"])["wallets"]


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        pytest.param(name, number, marks=() if (name, number) in NORMAL else pytest.mark.exhaustive)
        for name in KILLED
        for number in range(0, 60, 4)
    ],
)
def test_a_command_that_is_killed_at_any_statement_did_all_or_nothing_and_can_be_given_again(
    database: Target, tmp_path: Path, name: str, statement: int
) -> None:
    killed = KILLED[name]
    for words in killed.prepared:
        assert give(database, tmp_path, *words) == 0
    kill_before(database, statement, *killed.words, folder=tmp_path)  # or it was done by then

    found = wallets(database)
    assert found in killed.between
    is_done = found == killed.at_last and name != "replace"
    code = give(database, tmp_path, *killed.words) if not (is_done and name == "append") else 0

    assert code in killed.codes
    assert wallets(database) == killed.at_last
    assert temporary(database) == []
    for place in snapshots(database):
        with closing(_maintenance(database)) as server:
            server.execute(sql.SQL("drop database {}").format(sql.Identifier(place)))
