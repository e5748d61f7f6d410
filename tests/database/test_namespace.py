"""What is ours in a database is known exactly: nobody else's tables are touched, and constraints come and go by name."""

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from integrity.database.bookkeeping import METADATA as BOOKS
from integrity.database.bookkeeping import drop_views, notes, put_note
from integrity.database.bookkeeping import read_notes as all_notes
from integrity.database.constraints import find_missing, plant, restore
from integrity.database.made import FORMAT_OF_NAMES, FORMATS_BEFORE, find_all_made
from integrity.database.namespace import (
    create_schemas,
    create_tables,
    drop_schemas,
    drop_tables,
    guard,
    inspect_database,
    read_notes,
    write_note,
)
from integrity.database.ownership import find_own_views
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.errors import DatabaseError, SeedError, Unreachable, UnsafeDatabase, UsageError
from integrity.reference.ghostpass.bugs import BUGS
from integrity.reference.ghostpass.schema import METADATA
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.reference.inbox.system import INBOX


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
    if target.dialect == "sqlite":
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
    create_schemas(target, [GHOSTPASS])

    contents = guard(target, None)
    assert contents.systems == ("ghostpass",)
    assert set(contents.ours["ghostpass"]) == {table.name for table in METADATA.sorted_tables}
    assert contents.ours["integrity"] == ("calls", "notes", "received", "requests", "runs")
    assert contents.foreign == ()

    drop_schemas(target)
    assert inspect_database(target).is_empty
    assert not list(tmp_path.iterdir())
    if target.dialect != "sqlite":
        assert not execute(target, "select 1 from pg_namespace where nspname in ('ghostpass', 'integrity')")


def test_a_database_with_somebody_elses_table_is_refused_unless_it_is_named(target: Target) -> None:
    with transaction(target) as connection:
        connection.exec_driver_sql(
            f"create table {'main' if target.dialect == 'sqlite' else 'public'}.customers (id integer)"
        )
    name = inspect_database(target).name

    with pytest.raises(UnsafeDatabase, match=r"1 table that we did not make: (public|main)\.customers") as refused:
        guard(target, None)
    assert refused.value.hint is not None
    assert refused.value.hint.endswith(f"--yes-this-is-a-test-database {name}")
    with pytest.raises(UnsafeDatabase, match="not 'another'"):
        guard(target, "another")
    assert guard(target, name).foreign


def test_a_system_of_our_name_without_our_notes_is_somebody_elses(target: Target) -> None:
    if target.dialect != "sqlite":
        execute(target, "create schema ghostpass")
    execute(target, "create table ghostpass.wallets (id integer)")

    with pytest.raises(UnsafeDatabase, match=r"ghostpass\.wallets"):
        guard(target, None)
    drop_schemas(target)
    assert inspect_database(target).foreign == ("ghostpass.wallets",)


def test_notes_that_are_not_our_notes_are_somebody_elses(target: Target) -> None:
    if target.dialect != "sqlite":
        execute(target, "create schema integrity")
    execute(target, "create table integrity.notes (id integer, body text)")

    assert inspect_database(target).foreign == ("integrity.notes",)


def test_rollback_leaves_a_table_that_somebody_put_beside_ours(target: Target) -> None:
    create_schemas(target, [GHOSTPASS])
    execute(target, "create table ghostpass.mine (id integer)", "insert into ghostpass.mine values (41)")
    with pytest.raises(UnsafeDatabase, match=r"ghostpass\.mine"):
        guard(target, None)

    drop_schemas(target)

    assert inspect_database(target).foreign == ("ghostpass.mine",)
    assert not inspect_database(target).is_ours
    assert execute(target, "select id from ghostpass.mine") == [(41,)]


def test_a_table_that_somebody_made_in_place_of_ours_is_theirs(target: Target) -> None:
    create_schemas(target, [GHOSTPASS])
    execute(target, "drop table ghostpass.audit_log", "create table ghostpass.audit_log (note text)")
    execute(target, "insert into ghostpass.audit_log values ('mine')")
    assert inspect_database(target).foreign == ("ghostpass.audit_log",)
    with pytest.raises(UnsafeDatabase, match=r"ghostpass\.audit_log"):
        guard(target, None)

    dropped = drop_schemas(target)

    assert "audit_log" not in dropped.ours["ghostpass"]
    assert execute(target, "select note from ghostpass.audit_log") == [("mine",)]
    assert inspect_database(target).foreign == ("ghostpass.audit_log",)


def test_a_table_that_is_made_anew_while_we_drop_is_left_with_all_others(database: Target) -> None:
    create_schemas(database, [GHOSTPASS])
    seen = inspect_database(database)
    execute(database, "drop table ghostpass.audit_log", "create table ghostpass.audit_log (note text)")
    with (
        pytest.raises(DatabaseError, match=r"ghostpass\.audit_log is not the table that was made here"),
        transaction(database) as connection,
    ):
        drop_tables(connection, "ghostpass", seen)
    assert set(inspect_database(database).ours["ghostpass"]) == {*seen.ours["ghostpass"]} - {"audit_log"}


def test_a_schema_that_was_there_before_stays_as_it_was(database: Target) -> None:
    execute(
        database,
        "create schema ghostpass",
        "comment on schema ghostpass is 'our theatre'",
        "grant usage on schema ghostpass to public",
    )
    schema = "select oid, nspacl::text, obj_description(oid) from pg_namespace where nspname = 'ghostpass'"
    before = execute(database, schema)
    create_schemas(database, [GHOSTPASS])
    with transaction(database) as connection:
        drop_tables(connection, "ghostpass", inspect_database(database))
        create_tables(connection, GHOSTPASS)
    drop_schemas(database)
    assert execute(database, schema) == before
    assert inspect_database(database).is_empty


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("create view public.rich as select 1 as id", "view public.rich"),
        (
            "create function public.half(n int) returns int language sql as 'select n / 2'",
            "function public.half(n integer)",
        ),
        ("create sequence public.tickets", "sequence public.tickets"),
        ("create type public.mood as enum ('sad', 'ok')", "type public.mood"),
        ("create domain public.code as text", "type public.code"),
        ("create type public.pair as (a int, b int)", "type public.pair"),
        ("select lo_create(4711)", "large object 4711"),
        ("create publication feed", "publication feed"),
        ("create table information_schema.mine (id int)", "information_schema.mine"),
        ("create materialized view public.sums as select 1 as id", "public.sums"),
    ],
)
def test_whatever_somebody_made_keeps_a_database_from_being_empty(database: Target, statement: str, expected: str) -> None:
    execute(database, statement)
    assert inspect_database(database).foreign == (expected,)
    with pytest.raises(UnsafeDatabase, match=r"holds 1 (table|object) that we did not make"):
        guard(database, None)


def test_a_table_of_an_extension_is_somebodys_and_its_functions_are_nobodys(database: Target) -> None:
    execute(database, "create extension pg_stat_statements schema public")
    assert inspect_database(database).is_empty
    execute(database, "create table public.places (id int)", "alter extension pg_stat_statements add table public.places")
    assert inspect_database(database).foreign == ("public.places",)


def test_a_view_that_hides_the_catalogue_hides_nothing_from_us(database: Target) -> None:
    execute(
        database,
        "create table public.customers (id int)",
        "create schema m",
        "create view m.pg_class as select * from pg_catalog.pg_class where false",
        f"alter database {database.url.database} set search_path to m, pg_catalog",
    )
    assert inspect_database(database).foreign == ("public.customers", "view m.pg_class")


def as_a_version_of_names(target: Target) -> None:
    """Let the notes say what that version noted: names, in the transaction that made the tables."""
    names = " ".join(table.name for table in METADATA.sorted_tables)
    books = " ".join(table.name for table in BOOKS.sorted_tables)
    with transaction(target, ("ghostpass", "integrity")) as connection:
        create_tables(connection, GHOSTPASS)
        drop_views(connection, find_own_views(connection, "ghostpass"))  # it had none
        for key, value in (("format", FORMAT_OF_NAMES), ("tables:ghostpass", names), ("tables:integrity", books)):
            put_note(connection, key, value)
        for key in ("made:ghostpass", "made:integrity"):
            connection.execute(delete(notes).where(notes.c.key == key))


def test_what_was_noted_by_name_is_removed_as_far_as_it_is_proven(database: Target) -> None:
    execute(database, "create schema ghostpass")
    as_a_version_of_names(database)
    execute(database, "drop table ghostpass.audit_log", "create table ghostpass.audit_log (note text)")
    execute(database, "analyze ghostpass.wallets", "alter table ghostpass.wallets alter column code set statistics 10")
    with pytest.raises(DatabaseError, match="made by another version") as refused:
        guard(database, None)
    assert "integrity rollback" in str(refused.value.hint)

    drop_schemas(database)

    assert inspect_database(database).foreign == ("ghostpass.audit_log",)
    assert execute(database, "select nspname from pg_namespace where nspname in ('ghostpass', 'integrity')") == [
        ("ghostpass",)
    ]


def test_files_that_were_noted_by_name_are_named(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    as_a_version_of_names(target)
    with pytest.raises(DatabaseError, match="made by another version") as refused:
        drop_schemas(target)
    assert f"{tmp_path}/venue*.db" in str(refused.value.hint)


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_what_the_version_before_made_is_refused_with_the_way_on_and_removed(
    engine: str, database: Target, tmp_path: Path
) -> None:
    """Its books take no call that was unavailable, and each system had one schema, of its name."""
    target = database if engine == "postgresql" else Target.parse(f"sqlite:///{tmp_path}/venue.db")
    create_schemas(target, [GHOSTPASS])
    with transaction(target, ("integrity",)) as connection:
        for name, made in find_all_made(all_notes(connection)).items():
            tables = {table: identity for (_, table), identity in made.tables.items()}
            noted = {"schema": made.schemas.get(name), "tables": tables, "views": dict(made.views)}
            put_note(connection, f"made:{name}", json.dumps(noted))
        put_note(connection, "format", FORMATS_BEFORE[0])
    with pytest.raises(DatabaseError, match="made by another version \\(format '3', expected '5'\\)") as refused:
        guard(target, None)
    assert "integrity rollback" in str(refused.value.hint)

    drop_schemas(target)

    assert inspect_database(target).is_empty
    if engine == "postgresql":
        assert not execute(target, "select 1 from pg_namespace where nspname in ('ghostpass', 'integrity')")


def test_a_copy_by_a_dump_is_nobodys(database: Target) -> None:
    """Its notes say the oids of another database's tables."""
    create_schemas(database, [GHOSTPASS])
    execute(database, "create table integrity.copy as select * from integrity.notes", "drop table integrity.notes")
    execute(database, "alter table integrity.copy rename to notes")
    contents = inspect_database(database)
    assert (contents.ours, contents.notes) == ({}, {})
    assert "integrity.notes" in contents.foreign


def test_a_view_in_a_file_of_ours_keeps_the_file(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    create_schemas(target, [GHOSTPASS])
    execute(target, "create view ghostpass.mine as select 1 as id")
    drop_schemas(target)
    assert inspect_database(target).foreign == ("view ghostpass.mine",)


def test_rollback_refuses_when_somebodys_view_stands_on_our_tables(database: Target) -> None:
    create_schemas(database, [GHOSTPASS])
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
    create_schemas(target, [GHOSTPASS])
    write_note(target, "bug:ghostpass", "one")
    write_note(target, "bug:ghostpass", "two")
    assert read_notes(target)["bug:ghostpass"] == "two"


def test_a_database_of_another_format_is_refused(target: Target) -> None:
    create_schemas(target, [GHOSTPASS])
    write_note(target, "format", "0")
    with pytest.raises(DatabaseError, match="another version"):
        inspect_database(target)


@pytest.mark.parametrize("bug", [bug for bug in BUGS.values() if bug.dropped], ids=lambda bug: str(bug.name))
def test_a_planted_bug_leaves_out_exactly_what_it_forgets_and_restoring_makes_it_again(target: Target, bug: Any) -> None:
    create_schemas(target, [GHOSTPASS])
    sound = schema_of(target)

    plant(target, GHOSTPASS, bug.dropped, bug=bug.name)

    names = {name.partition(".")[2] for name in bug.dropped}
    left = " ".join(str(column) for row in schema_of(target) for column in row)
    assert not [name for name in names if name in left]
    assert read_notes(target)["bug:ghostpass"] == bug.name

    restore(target, GHOSTPASS)
    assert sorted(map(str, schema_of(target))) == sorted(map(str, sound))


def test_planting_another_bug_makes_again_what_the_last_one_left_out(target: Target) -> None:
    create_schemas(target, [GHOSTPASS])
    plant(target, GHOSTPASS, ("wallets.wallets_balance_not_negative",), bug="first")
    plant(target, GHOSTPASS, ("wallets.wallets_code_key", "scans.scans_one_per_entry_number"), bug="second")

    insert = "insert into ghostpass.wallets (code, balance_minor) values ('a', {balance})"
    with pytest.raises(DatabaseError, match="wallets_balance_not_negative"):
        execute(target, insert.format(balance=-1))
    execute(target, insert.format(balance=1), insert.format(balance=2))  # the code is not unique now


def test_a_key_that_is_left_out_takes_the_references_to_it_along_and_both_come_back(target: Target) -> None:
    create_schemas(target, [INBOX])
    plant(target, INBOX, ("messages.messages_conversation_id_id_key",), bug="two_messages")
    assert find_missing(target, INBOX.metadata) == ["media.media_message_fkey", "messages.messages_conversation_id_id_key"]
    restore(target, INBOX)
    assert find_missing(target, INBOX.metadata) == []


def test_rows_and_references_survive_leaving_out_and_restoring(target: Target) -> None:
    create_schemas(target, [GHOSTPASS])
    execute(
        target,
        "insert into ghostpass.wallets (id, code, balance_minor) values (1, 'a', 5), (2, 'b', 0)",
        "insert into ghostpass.presences (wallet_id, is_inside, entry_count) values (1, true, 1), (2, false, 0)",
    )
    before = execute(target, "select * from ghostpass.wallets order by id")

    plant(target, GHOSTPASS, ("wallets.wallets_balance_not_negative",), bug="overdraw")
    restore(target, GHOSTPASS)

    assert execute(target, "select * from ghostpass.wallets order by id") == before
    assert execute(target, "select count(*) from ghostpass.presences") == [(2,)]
    with pytest.raises(DatabaseError, match=r"(?i)foreign key"):
        execute(target, "insert into ghostpass.presences (wallet_id, is_inside, entry_count) values (3, true, 1)")


def test_data_that_a_bug_broke_is_reported_with_the_bug_and_the_way_out(target: Target) -> None:
    create_schemas(target, [GHOSTPASS])
    plant(target, GHOSTPASS, ("wallets.wallets_balance_not_negative",), bug="overdraw")
    execute(target, "insert into ghostpass.wallets (code, balance_minor) values ('a', -1)")

    with pytest.raises(SeedError, match="bug 'overdraw' has broken the data of ghostpass") as refused:
        restore(target, GHOSTPASS)
    assert refused.value.hint is not None
    assert refused.value.hint.endswith("integrity seed --system ghostpass --replace")
    assert execute(target, "select balance_minor from ghostpass.wallets") == [(-1,)]


def test_a_reference_that_a_bug_broke_is_reported_too(target: Target) -> None:
    create_schemas(target, [GHOSTPASS])
    plant(target, GHOSTPASS, ("entries.entries_wallet_id_fkey",), bug="orphans")
    execute(
        target,
        "insert into ghostpass.entries (account, wallet_id, kind, amount_minor, reference, operation_id) "
        "values ('wallet', 99, 'sale', -1, 1, '0190b1c2-0000-7000-8000-00000000002a')",
    )
    with pytest.raises(SeedError, match="bug 'orphans'"):
        restore(target, GHOSTPASS)


def test_a_constraint_that_does_not_exist_cannot_be_left_out(target: Target) -> None:
    with pytest.raises(UsageError, match=r"wallets\.nonsense"):
        plant(target, GHOSTPASS, ("wallets.nonsense",), bug="typo")


def test_planting_does_not_change_the_metadata(target: Target) -> None:
    """SQLAlchemy takes a constraint that is dropped or added by itself out of its table's `create table`."""
    create_schemas(target, [GHOSTPASS])
    sound = schema_of(target)
    plant(target, GHOSTPASS, ("wallets.wallets_balance_not_negative",), bug="overdraw")
    restore(target, GHOSTPASS)
    drop_schemas(target)
    create_schemas(target, [GHOSTPASS])
    assert schema_of(target) == sound


def test_a_user_without_rights_is_told_so(database: Target) -> None:
    execute(database, "drop role if exists visitor", "create role visitor login")
    visitor = Target(database.url.set(username="visitor"))
    with pytest.raises(DatabaseError, match="permission denied for database") as refused:
        create_schemas(visitor, [GHOSTPASS])
    assert refused.value.hint is not None
    assert "may create schemas" in refused.value.hint
    execute(database, "drop role visitor")


def test_tables_that_somebody_works_on_are_not_waited_for_for_ever(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OWN, "lock_timeout", "50ms")
    create_schemas(database, [GHOSTPASS])
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
    create_schemas(target, [GHOSTPASS])

    def work() -> None:
        with transaction(target, ("ghostpass",)) as connection:
            connection.exec_driver_sql("create table ghostpass.half (id integer)")
            connection.exec_driver_sql("insert into ghostpass.wallets (code) values ('half')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert inspect_database(target).foreign == ()
    assert execute(target, "select count(*) from ghostpass.wallets") == [(0,)]
