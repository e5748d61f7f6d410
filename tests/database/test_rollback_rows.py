"""What a rollback takes out of tables that others made: all that runs are known to have inserted, none of others."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from integrity.cli.main import invoke
from integrity.database.namespace import drop_schemas, keep_books
from integrity.engines.target import Target
from integrity.operation import Mark, Operation, Steps
from integrity.systems.system import System

TABLES = """
    create table accounts (id bigserial primary key, last_key uuid);
    create table payments (id bigserial primary key, key text unique, "Odd 100%" text);
    create table parts (payment_id bigint not null references payments, part int);
    create table receipts (id bigserial primary key, note text);
    create table lines (line text);
    insert into accounts (last_key) select gen_random_uuid() from generate_series(1, 3);
    insert into payments (key) values (null), ('mine');
    insert into receipts (note) values ('mine');
    insert into lines values ('mine');
"""
OPERATIONS = {
    "pay": (
        "-- parameter key: text\n-- stores: payments.key = :key\n-- stores: parts.payment_id = reply.id\n-- reply: id\n"
        "begin; insert into payments (key, \"Odd 100%\") values (concat(:'key'), '%s') returning id \\gset\n"
        "insert into parts values (:id, 1), (:id, 2); commit;"
    ),
    "note": (
        "-- parameter word: choice run\n-- stores: receipts.id = reply.id\n-- reply: id\n"
        "insert into receipts (note) values (:'word') returning id \\gset"
    ),
    "touch": (
        "-- parameter account_id: key of accounts\n-- parameter key: uuid\n-- stores: accounts.last_key = :key\n"
        "update accounts set last_key = :'key' where id = :account_id;"
    ),
    "write": "-- parameter word: choice run\ninsert into lines values (:'word');",
}
COUNTS = """
    select (select count(*) from accounts), (select count(*) from payments), (select count(*) from parts),
        (select count(*) from receipts), (select count(*) from lines)
"""

Command = Callable[[str], tuple[int, str]]


@pytest.fixture
def command(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    Path("integrity.toml").write_text(f'[project]\nname = "shop"\n[database]\ntest = "{database.url.database}"\n')
    Path("operations").mkdir()
    for name, text in OPERATIONS.items():
        Path(f"operations/{name}.sql").write_text(f"{text}\n", encoding="utf-8")

    def run(words: str) -> tuple[int, str]:
        code = invoke(words.split())
        captured = capsys.readouterr()
        return code, f"{captured.err}{captured.out}"

    return run


def test_rows_go_that_calls_are_known_to_have_inserted_and_what_nobody_can_tell_is_told_with_how_to_see_it(
    command: Command, database: Target
) -> None:
    with database.connect() as connection:
        connection.execute(TABLES.encode())
        connection.commit()
        assert command("run smoke --seed 1 --duration 2s")[0] == 0
        connection.execute("insert into payments (key) values (null), ('theirs')")
        connection.execute("insert into receipts (note) values ('theirs')")
        connection.commit()
        ran = connection.execute(COUNTS.encode()).fetchone()
        connection.commit()
        assert ran is not None
        paid, parts, noted, written = ran[1] - 4, ran[2], ran[3] - 2, ran[4] - 1
        assert min(paid, parts, noted, written) > 0

        code, told = command("rollback --yes")

        assert code == 0
        assert f"{paid + parts + noted} rows that runs wrote in 3 tables of public; these tables" in told
        assert connection.execute(COUNTS.encode()).fetchone() == (3, 4, 0, 2, ran[4])
        connection.commit()
        assert "delete" not in told, "what calls have only changed was there before"
        statements = [line for line in told.splitlines() if line.startswith("  select * from")]
        assert [line.split()[3] for line in statements] == ["public.accounts", "public.lines"]
        assert f"Left alone: {written} rows of public.lines inserted or changed since" in " ".join(told.split())
        assert connection.execute(statements[0].encode()).fetchall(), "the rows of the user's own"
        shown = connection.execute(statements[1].encode()).fetchall()
        assert (len(shown), ("mine",) in shown) == (written, False)


def test_a_row_of_others_that_has_null_where_calls_mark_theirs_stays(database: Target) -> None:
    system = System(
        "shop", "", MetaData(), {"pay": Operation("pay", _never, {}, marks=(Mark("payments", "operation_id"),))}
    )
    with database.connect() as connection:
        connection.execute("create table payments (operation_id uuid); insert into payments values (null)")
        connection.commit()
        keep_books(database, system, system.operations.values())
        connection.execute(
            b"insert into integrity.runs (run_id, system, profile, seed, started_at, state)"
            b"values ('r', 'shop', 'smoke', 1, now(), 'finished');"
            b"insert into integrity.calls"
            b"(run_id, operation_id, operation, arguments, client, intended_at, invoked_at, outcome)"
            b"values ('r', gen_random_uuid(), 'pay', '{}', 1, now(), now(), 'ok');"
            b"insert into payments select operation_id from integrity.calls"
        )
        connection.commit()

        drop_schemas(database)

        assert connection.execute("table payments").fetchall() == [(None,)]


def _never(**_: object) -> Steps:
    raise AssertionError("it is not called")


# Each writes into lines, and nothing in the file says so.
UNSEEN = {
    "a function": "select note_it(:'word');",
    "a view": "insert into shown values (:'word');",
    "a trigger": "insert into receipts (note) values (:'word');",
}


@pytest.mark.parametrize("statement", UNSEEN.values(), ids=UNSEEN)
def test_rows_that_a_function_a_view_or_a_trigger_has_inserted_are_told(
    command: Command, database: Target, statement: str
) -> None:
    for name in OPERATIONS:
        Path(f"operations/{name}.sql").unlink()
    Path("operations/unseen.sql").write_text(f"-- parameter word: choice run\n{statement}\n", encoding="utf-8")
    with database.connect() as connection:
        connection.execute(TABLES.encode())
        connection.execute(
            "create view shown as select line from lines;"
            "create function note_it(text) returns void language sql as 'insert into lines values ($1)';"
            "create function note_receipt() returns trigger language plpgsql as "
            "$$ begin insert into lines values (new.note); return null; end $$;"
            "create trigger note_receipt after insert on receipts for each row execute function note_receipt()"
        )
    assert command("run smoke --seed 1 --duration 1s")[0] == 0

    told = command("rollback --yes")[1]

    with database.connect() as connection:
        rows = connection.execute("select count(*) - 1 from lines").fetchone()
    assert rows is not None
    assert rows[0] > 0
    assert f"Left alone: {rows[0]} rows of public.lines inserted or changed since" in " ".join(told.split())


def test_rows_of_runs_on_sqlite_are_told_with_a_statement_that_shows_them(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", "sqlite:///shop.db")
    Path("integrity.toml").write_text('[project]\nname = "shop"\n[database]\ntest = "shop.db"\n')
    for name in OPERATIONS:
        Path(f"operations/{name}.sql").unlink()
    Path("operations/write.sql").write_text("-- parameter word: choice run\ninsert into lines values (:'word');\n")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.executescript(
            "create table lines (line text); insert into lines values ('mine'); create table seen (line text);"
            "create trigger see after insert on lines begin insert into seen values (new.line); end"
        )
    connection.close()
    assert command("run smoke --seed 1 --duration 1s")[0] == 0

    code, told = command("rollback --yes")

    statements = [line.strip() for line in told.splitlines() if line.startswith("  select * from")]
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        shown = [connection.execute(statement).fetchall() for statement in statements]
    assert (code, len(shown)) == (0, 2), told
    assert {row for rows in shown for row in rows} == {("run",)}
    assert f"Left alone: {len(shown[0])} rows of public.lines inserted since the first run began" in " ".join(told.split())
