"""What is ours in a database is known exactly: nobody else's tables are touched, and constraints come and go by name."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from integrity.database.constraints import plant, restore
from integrity.database.namespace import (
    create_schemas,
    drop_schemas,
    guard,
    inspect_database,
    read_notes,
    write_note,
)
from integrity.database.session_settings import OWN
from integrity.database.target import Target
from integrity.database.transaction import transaction
from integrity.errors import DatabaseError, SeedError, Unreachable, UnsafeDatabase, UsageError
from integrity.systems.ghostpass.bugs import BUGS
from integrity.systems.ghostpass.schema import METADATA


@pytest.fixture(params=["postgresql", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return Target.parse(f"sqlite:///{tmp_path}/venue.db")
    database: Target = request.getfixturevalue("database")
    return database


def execute(target: Target, *statements: str) -> list[tuple[Any, ...]]:
    """Return the rows of the last statement."""
    with transaction(target, ("ghostpass", "integrity")) as connection:
        for statement in statements:
            result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []


def schema_of(target: Target) -> list[tuple[Any, ...]]:
    """Return the definition of every table, constraint and index in ghostpass, as the database tells it."""
    if target.is_sqlite:
        found = execute(target, "select type, name, tbl_name, sql from ghostpass.sqlite_master order by type, name")
        return [(*row[:3], _parts(row[3] or "")) for row in found]
    return execute(
        target,
        """
        select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
        where connamespace = 'ghostpass'::regnamespace
        union all
        select tablename, indexname, indexdef from pg_indexes where schemaname = 'ghostpass'
        order by 1, 2, 3
        """,
    )


def _parts(create: str) -> list[str]:
    """Return the parts of a `create table`, whose constraints stand in any order."""
    return sorted(re.split(r",? CONSTRAINT | \)$", " ".join(create.replace('"', "").split())))


def test_an_empty_database_is_empty_and_looking_at_it_changes_nothing(target: Target, tmp_path: Path) -> None:
    assert inspect_database(target).is_empty
    assert guard(target, None).ours == {}
    assert read_notes(target) == {}
    assert not list(tmp_path.iterdir())


def test_what_was_created_is_ours_and_rollback_leaves_nothing_behind(target: Target, tmp_path: Path) -> None:
    create_schemas(target, [METADATA])

    contents = guard(target, None)
    assert contents.systems == ("ghostpass",)
    assert set(contents.ours["ghostpass"]) == {table.name for table in METADATA.sorted_tables}
    assert contents.ours["integrity"] == ("calls", "notes", "received", "requests", "runs")
    assert contents.foreign == ()

    drop_schemas(target)
    assert inspect_database(target).is_empty
    assert not list(tmp_path.iterdir())
    if not target.is_sqlite:
        assert not execute(target, "select 1 from pg_namespace where nspname in ('ghostpass', 'integrity')")


def test_a_database_with_somebody_elses_table_is_refused_unless_it_is_named(target: Target) -> None:
    with transaction(target) as connection:
        connection.exec_driver_sql(f"create table {'main' if target.is_sqlite else 'public'}.customers (id integer)")
    name = inspect_database(target).name

    with pytest.raises(UnsafeDatabase, match=r"1 table that we did not make: (public|main)\.customers") as refused:
        guard(target, None)
    assert refused.value.hint is not None
    assert refused.value.hint.endswith(f"--yes-this-is-a-test-database {name}")
    with pytest.raises(UnsafeDatabase, match="not 'another'"):
        guard(target, "another")
    assert guard(target, name).foreign


def test_a_system_of_our_name_without_our_notes_is_somebody_elses(target: Target) -> None:
    if not target.is_sqlite:
        execute(target, "create schema ghostpass")
    execute(target, "create table ghostpass.wallets (id integer)")

    with pytest.raises(UnsafeDatabase, match=r"ghostpass\.wallets"):
        guard(target, None)
    drop_schemas(target)
    assert inspect_database(target).foreign == ("ghostpass.wallets",)


def test_notes_that_are_not_our_notes_are_somebody_elses(target: Target) -> None:
    if not target.is_sqlite:
        execute(target, "create schema integrity")
    execute(target, "create table integrity.notes (id integer, body text)")

    assert inspect_database(target).foreign == ("integrity.notes",)


def test_rollback_leaves_a_table_that_somebody_put_beside_ours(target: Target) -> None:
    create_schemas(target, [METADATA])
    execute(target, "create table ghostpass.mine (id integer)", "insert into ghostpass.mine values (41)")
    with pytest.raises(UnsafeDatabase, match=r"ghostpass\.mine"):
        guard(target, None)

    drop_schemas(target)

    assert inspect_database(target).foreign == ("ghostpass.mine",)
    assert not inspect_database(target).is_ours
    assert execute(target, "select id from ghostpass.mine") == [(41,)]


def test_rollback_refuses_when_somebodys_view_stands_on_our_tables(database: Target) -> None:
    create_schemas(database, [METADATA])
    execute(database, "create view public.rich as select id from ghostpass.wallets where balance_minor > 100000")

    with pytest.raises(DatabaseError, match=r"view public.rich depends on table ghostpass\.wallets"):
        drop_schemas(database)
    assert inspect_database(database).is_ours


def test_tables_of_an_extension_and_partitions_are_not_counted_as_foreign_twice(database: Target) -> None:
    execute(
        database,
        "create table public.readings (day date) partition by range (day)",
        "create table public.readings_1 partition of public.readings for values from ('2026-01-01') to ('2026-02-01')",
    )
    assert inspect_database(database).foreign == ("public.readings",)


def test_notes_are_read_as_they_were_written_last(target: Target) -> None:
    create_schemas(target, [METADATA])
    write_note(target, "bug:ghostpass", "one")
    write_note(target, "bug:ghostpass", "two")
    assert read_notes(target)["bug:ghostpass"] == "two"


def test_a_database_of_another_format_is_refused(target: Target) -> None:
    create_schemas(target, [METADATA])
    write_note(target, "format", "0")
    with pytest.raises(DatabaseError, match="another version"):
        inspect_database(target)


@pytest.mark.parametrize("bug", [bug for bug in BUGS.values() if bug.dropped], ids=lambda bug: str(bug.name))
def test_a_planted_bug_leaves_out_exactly_what_it_forgets_and_restoring_makes_it_again(target: Target, bug: Any) -> None:
    create_schemas(target, [METADATA])
    sound = schema_of(target)

    plant(target, METADATA, bug.dropped, bug=bug.name)

    names = {name.partition(".")[2] for name in bug.dropped}
    left = " ".join(str(column) for row in schema_of(target) for column in row)
    assert not [name for name in names if name in left]
    assert read_notes(target)["bug:ghostpass"] == bug.name

    restore(target, METADATA)
    assert sorted(map(str, schema_of(target))) == sorted(map(str, sound))


def test_planting_another_bug_makes_again_what_the_last_one_left_out(target: Target) -> None:
    create_schemas(target, [METADATA])
    plant(target, METADATA, ("wallets.wallets_balance_not_negative",), bug="first")
    plant(target, METADATA, ("wallets.wallets_code_key", "scans.scans_one_per_entry_number"), bug="second")

    insert = "insert into ghostpass.wallets (code, balance_minor) values ('a', {balance})"
    with pytest.raises(DatabaseError, match="wallets_balance_not_negative"):
        execute(target, insert.format(balance=-1))
    execute(target, insert.format(balance=1), insert.format(balance=2))  # the code is not unique now


def test_rows_and_references_survive_leaving_out_and_restoring(target: Target) -> None:
    create_schemas(target, [METADATA])
    execute(
        target,
        "insert into ghostpass.wallets (id, code, balance_minor) values (1, 'a', 5), (2, 'b', 0)",
        "insert into ghostpass.presences (wallet_id, is_inside, entry_count) values (1, true, 1), (2, false, 0)",
    )
    before = execute(target, "select * from ghostpass.wallets order by id")

    plant(target, METADATA, ("wallets.wallets_balance_not_negative",), bug="overdraw")
    restore(target, METADATA)

    assert execute(target, "select * from ghostpass.wallets order by id") == before
    assert execute(target, "select count(*) from ghostpass.presences") == [(2,)]
    with pytest.raises(DatabaseError, match=r"(?i)foreign key"):
        execute(target, "insert into ghostpass.presences (wallet_id, is_inside, entry_count) values (3, true, 1)")


def test_data_that_a_bug_broke_is_reported_with_the_bug_and_the_way_out(target: Target) -> None:
    create_schemas(target, [METADATA])
    plant(target, METADATA, ("wallets.wallets_balance_not_negative",), bug="overdraw")
    execute(target, "insert into ghostpass.wallets (code, balance_minor) values ('a', -1)")

    with pytest.raises(SeedError, match="bug 'overdraw' has broken the data of ghostpass") as refused:
        restore(target, METADATA)
    assert refused.value.hint is not None
    assert refused.value.hint.endswith("integrity seed --system ghostpass --replace")
    assert execute(target, "select balance_minor from ghostpass.wallets") == [(-1,)]


def test_a_reference_that_a_bug_broke_is_reported_too(target: Target) -> None:
    create_schemas(target, [METADATA])
    plant(target, METADATA, ("entries.entries_wallet_id_fkey",), bug="orphans")
    execute(
        target,
        "insert into ghostpass.entries (account, wallet_id, kind, amount_minor, reference, operation_id) "
        "values ('wallet', 99, 'sale', -1, 1, '0190b1c2-0000-7000-8000-00000000002a')",
    )
    with pytest.raises(SeedError, match="bug 'orphans'"):
        restore(target, METADATA)


def test_a_constraint_that_does_not_exist_cannot_be_left_out(target: Target) -> None:
    with pytest.raises(UsageError, match=r"wallets\.nonsense"):
        plant(target, METADATA, ("wallets.nonsense",), bug="typo")


def test_planting_does_not_change_the_metadata(target: Target) -> None:
    """SQLAlchemy takes a constraint that is dropped or added by itself out of its table's `create table`."""
    create_schemas(target, [METADATA])
    sound = schema_of(target)
    plant(target, METADATA, ("wallets.wallets_balance_not_negative",), bug="overdraw")
    restore(target, METADATA)
    drop_schemas(target)
    create_schemas(target, [METADATA])
    assert schema_of(target) == sound


def test_a_user_without_rights_is_told_so(database: Target) -> None:
    execute(database, "drop role if exists visitor", "create role visitor login")
    visitor = Target(database.url.set(username="visitor"))
    with pytest.raises(DatabaseError, match="permission denied for database") as refused:
        create_schemas(visitor, [METADATA])
    assert refused.value.hint is not None
    assert "may create schemas" in refused.value.hint
    execute(database, "drop role visitor")


def test_tables_that_somebody_works_on_are_not_waited_for_for_ever(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OWN, "lock_timeout", "50ms")
    create_schemas(database, [METADATA])
    with closing(database.connect()) as other, other.transaction():
        other.execute("select * from ghostpass.wallets")
        with pytest.raises(DatabaseError, match="lock timeout") as refused:
            drop_schemas(database)
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("Another session")


def test_a_folder_that_is_not_there_is_no_connection(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no folder"):
        inspect_database(Target.parse(f"sqlite:///{tmp_path}/nowhere/venue.db"))


def test_an_exception_rolls_everything_back(target: Target) -> None:
    create_schemas(target, [METADATA])

    def work() -> None:
        with transaction(target, ("ghostpass",)) as connection:
            connection.exec_driver_sql("create table ghostpass.half (id integer)")
            connection.exec_driver_sql("insert into ghostpass.wallets (code) values ('half')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert inspect_database(target).foreign == ()
    assert execute(target, "select count(*) from ghostpass.wallets") == [(0,)]
