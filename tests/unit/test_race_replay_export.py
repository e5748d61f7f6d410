"""The exported test holds every value as a literal, and reads like something a person wrote."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from uuid import UUID

import pytest
from sqlalchemy import CheckConstraint, Column, Integer, MetaData, Table

from integrity.engines.values import from_text
from integrity.errors import UsageError
from integrity.operation import Begin, Commit, Isolation, Rollback, Statement, Value
from integrity.race.export.case import Assertion, Case, SerialAssertion
from integrity.race.export.literal_sql import literal_sql
from integrity.race.export.pytest_export import check_path, render_test
from integrity.race.export.script import render_sql
from integrity.race.play.ddl import create_statements_by_table
from integrity.race.play.recording import PlayedStep, Recording
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.schedule import Choice
from integrity.race.program.trace import Trace


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (None, "null"),
        (True, "true"),
        (5, "5"),
        (-5, "(-5)"),
        ("O'Neil", "'O''Neil'"),
        ("two\nlines", "e'two\\nlines'"),
        ("back\\slash", "e'back\\\\slash'"),
        (UUID(int=1), "'00000000-0000-0000-0000-000000000001'"),
        (datetime(2026, 1, 17, 12, tzinfo=UTC), "'2026-01-17T12:00:00+00:00'"),
    ],
)
def test_a_value_becomes_a_literal(value: Value, literal: str) -> None:
    assert literal_sql(Statement("select :value", {"value": value})) == f"select {literal}"


def test_long_lines_are_broken_between_rows_and_words_and_never_within_a_string() -> None:
    note = "a note, (with), (brackets) " * 4
    sql = f"insert into notes (id, note) values (1, :note), (2, 'short'), (3, 'short'){', (4, 5)' * 9}"
    text = literal_sql(Statement(sql, {"note": note}))
    assert f"'{note}'" in text
    assert all(len(line) <= 84 for line in text.splitlines() if note not in line)
    assert text.splitlines()[-1] == "    (4, 5)"
    assert " ".join(text.split()) == " ".join(sql.replace(":note", f"'{note}'").split())


def make_case(*played: PlayedStep, isolation: Isolation = Isolation.READ_COMMITTED) -> Case:
    choices = (Choice("A", "", "A"), Choice("A", "A", "A"))
    run = PlayedSchedule(Trace("AA", (), {}), choices, {}, ())
    return Case(
        title="take: a race",
        name="take",
        calls={"A": ("take", "box_id=1")},
        isolation=isolation,
        recording=Recording(run, {}, {"A": played}),
        assertion=Assertion("no box is below zero", Statement("select id from boxes where n < :least", {"least": 0})),
        replay="integrity replay take.json",
    )


def body_of(text: str) -> str:
    """Return the statements of the only call, without their margin."""
    start = text.index("in place of these statements\n") + len("in place of these statements\n")
    return dedent(text[start : text.index("\n\n\n", start)])


def test_a_transaction_that_is_read_only_and_may_wait_is_one_in_the_test_too() -> None:
    steps = (
        PlayedStep(Begin(is_read_only=True, is_deferrable=True)),
        PlayedStep(Statement("select n from boxes")),
        PlayedStep(Commit()),
        PlayedStep(Begin()),
        PlayedStep(Statement("select n from boxes")),
        PlayedStep(Commit()),
    )
    text = render_test(make_case(*steps), sql_name="test_take.sql", test_name="test_take.py")
    assert body_of(text).splitlines() == [
        "connection.read_only, connection.deferrable = True, True",
        'connection.execute("select n from boxes")',
        "connection.commit()",
        "connection.read_only, connection.deferrable = False, False",
        'connection.execute("select n from boxes")',
        "connection.commit()",
    ]


def test_a_call_becomes_statements_and_commits_of_psycopg() -> None:
    steps = (
        PlayedStep(Statement("select n from boxes")),
        PlayedStep(Begin(Isolation.SERIALIZABLE)),
        PlayedStep(Statement("update boxes set n = :n", {"n": 4})),
        PlayedStep(Commit()),
        PlayedStep(Begin()),
        PlayedStep(Rollback()),
    )
    text = render_test(make_case(*steps), sql_name="test_take.sql", test_name="test_take.py")
    compile(text, "test_take.py", "exec")
    assert body_of(text).splitlines() == [
        'connection.execute("select n from boxes")',
        "connection.commit()",
        "connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE",
        'connection.execute("update boxes set n = 4")',
        "connection.commit()",
        "connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED",
        "connection.rollback()",
    ]
    assert 'TURNS = "AA"' in text
    assert 'WRONG_ROWS = "select id from boxes where n < 0"' in text


@pytest.mark.parametrize("url", [None, ""], ids=["missing", "empty"])
def test_without_a_database_the_test_fails_with_a_sentence_that_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    """It is not skipped: what a forgotten variable turns off guards nothing."""
    file = tmp_path / "test_take.py"
    file.write_text(render_test(make_case(PlayedStep(Statement("select 1"))), sql_name="", test_name=file.name))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    if url is not None:
        monkeypatch.setenv("DATABASE_URL", url)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(file)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 1
    assert (
        "DATABASE_URL is not set: name a PostgreSQL server on which databases may be made, e.g. DATABASE_URL=" in ran.stdout
    )
    assert "KeyError" not in ran.stdout


def test_a_refusal_that_the_call_survived_is_survived_by_the_test_too() -> None:
    insert = PlayedStep(Statement("insert into boxes values (1)"), sqlstate="23505")
    text = render_test(make_case(PlayedStep(Begin()), insert, PlayedStep(Rollback())), sql_name="", test_name="")
    compile(text, "test_take.py", "exec")
    assert 'with suppress(psycopg.errors.lookup("23505")):\n        connection.execute(' in text
    last = render_test(make_case(PlayedStep(Begin()), insert), sql_name="", test_name="")
    assert "suppress(psycopg" not in body_of(last), "it ends the call, as it did"


def test_what_no_serial_order_explains_is_asserted_by_the_rows_of_the_serial_orders() -> None:
    case = make_case(PlayedStep(Statement("select 1")))
    orders = [{"boxes": [(1, "full"), (2, None)]}, {"boxes": [(3, "empty"), (2, None)]}]
    query = Statement("select n, state from boxes where id = :id", {"id": 41})
    serial = SerialAssertion("the rows are those of some order", {"boxes": query}, orders)
    case = Case(**{**{name: getattr(case, name) for name in Case.__slots__}, "assertion": serial})
    text = render_test(case, sql_name="", test_name="")
    compile(text, "test_take.py", "exec")
    assert "assert found in SERIAL_ORDERS, RULE" in text
    assert '(3, "empty"),' in text
    assert '"boxes": "select n, state from boxes where id = 41",' in text


@pytest.mark.parametrize("name", ["race.txt", "test-race.py", "races"])
def test_a_path_that_pytest_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not the name of a test"):
        check_path(Path(name))


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (None, "null"),
        (True, "true"),
        (-5, "(-5)"),
        ("O'Neil", "'O''Neil'"),
        ("two\nlines", "'two' || char(10) || 'lines'"),
        ("back\\slash", "'back\\slash'"),
        (UUID(int=1), "'00000000-0000-0000-0000-000000000001'"),
        (datetime(2026, 1, 17, 12, tzinfo=UTC), "'2026-01-17 12:00:00'"),
    ],
)
def test_a_value_becomes_a_literal_of_sqlite(value: Value, literal: str) -> None:
    text = literal_sql(Statement("select :value", {"value": value}), "sqlite")
    assert text == f"select {literal}"
    with closing(sqlite3.connect(":memory:")) as connection:
        (stored,) = connection.execute(text).fetchone()
    assert from_text(stored) == (value if not isinstance(value, bool) else 1)


def test_a_call_becomes_statements_and_commits_of_sqlite3() -> None:
    """Laid out as they were, but where SQLite needs other words; a statement alone is committed by itself."""
    steps = (
        PlayedStep(Statement("select n\nfrom boxes")),
        PlayedStep(Begin()),
        PlayedStep(Statement("select n from boxes where id = :id for update", {"id": 3})),
        PlayedStep(Statement("insert into boxes values (1)"), sqlstate="23505"),
        PlayedStep(Commit()),
        PlayedStep(Begin()),
        PlayedStep(Rollback()),
    )
    case = replace(make_case(*steps), dialect="sqlite", journal_mode="wal")
    text = render_test(case, sql_name="test_take.sql", test_name="test_take.py", schemas=("shop",))
    compile(text, "test_take.py", "exec")
    assert body_of(text).splitlines() == [
        'connection.execute("""',
        "    select n",
        "    from boxes",
        '""")',
        'connection.execute("begin immediate")',
        'connection.execute("SELECT n FROM boxes WHERE id = 3")',
        "with suppress(sqlite3.Error):",
        '    connection.execute("insert into boxes values (1)")',
        "connection.commit()",
        'connection.execute("begin immediate")',
        "connection.rollback()",
    ]
    assert "pragma shop.journal_mode = wal" in text
    assert "attach database ? as shop" in text
    deferred = render_test(replace(case, is_deferred=True), sql_name="", test_name="")
    assert 'connection.execute("begin")' in deferred
    assert "attach" not in deferred


def test_a_test_makes_every_schema_that_tables_stand_in_but_the_default_one() -> None:
    metadata = MetaData()
    for schema in ("app", "ledger", "public", None):
        Table(f"in_{schema}" if schema else "bare", metadata, Column("id", Integer, primary_key=True), schema=schema)
    script = render_sql(make_case(), metadata=metadata, dropped=frozenset())
    assert [line for line in script.splitlines() if line.startswith("create schema")] == [
        "create schema app;",
        "create schema ledger;",
    ]
    script = render_sql(replace(make_case(), dialect="sqlite"), metadata=metadata, dropped=frozenset())
    assert [line for line in script.splitlines() if line.startswith("CREATE TABLE")] == [
        "CREATE TABLE app.in_app (",
        "CREATE TABLE bare (",
        "CREATE TABLE ledger.in_ledger (",
        "CREATE TABLE main.in_public (",
    ]


def test_a_test_on_sqlite_attaches_a_file_for_each_schema() -> None:
    case = replace(make_case(), dialect="sqlite", journal_mode="wal")
    text = render_test(case, sql_name="", test_name="", schemas=("app", "ledger"))
    compile(text, "test_take.py", "exec")
    for schema in ("app", "ledger"):
        assert f'attached = str(folder / "race.{schema}.db")' in text
        assert f'connection.execute("pragma {schema}.journal_mode = wal")' in text


def test_a_question_on_sqlite_finds_the_default_schema_in_the_main_file() -> None:
    question = Statement("select id from public.boxes where id = :id", {"id": 3})
    assert literal_sql(question, "sqlite") == "SELECT id FROM main.boxes WHERE id = 3"
    assert literal_sql(question) == "select id from public.boxes where id = 3"


def test_tables_of_one_name_are_both_made() -> None:
    metadata = MetaData()
    for schema in ("app", "ledger"):
        Table("entries", metadata, Column("id", Integer, primary_key=True), schema=schema)
    assert list(create_statements_by_table(metadata)) == ["app.entries", "ledger.entries"]


def test_a_constraint_of_several_lines_is_written_whole_and_in_its_place() -> None:
    checks = [
        CheckConstraint("case number\n            when 1 then true\n            else false end", name="a_by_case"),
        CheckConstraint("number > 0", name="a_positive"),
    ]
    table = Table("a", MetaData(), Column("number", Integer), *reversed(checks))
    (statement,) = create_statements_by_table(table.metadata)["a"]
    assert (
        statement
        == dedent("""
        CREATE TABLE a (
            number INTEGER,
            CONSTRAINT a_by_case CHECK (case number
                    when 1 then true
                    else false end),
            CONSTRAINT a_positive CHECK (number > 0)
        )""").strip()
    )
