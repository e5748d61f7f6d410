"""A row belongs to whichever call stored its value there, of whatever operation; what a call that failed left is found."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.invariants.load import load_invariants
from integrity.project import find_project
from tests.detection.test_audit_work import TIMES_MOST, nodes, rows_of

SELL = """
-- title: {title}
-- parameter {key}: text
-- stores: {place} = :{key} at created_at
insert into payments (idempotency_key) values (:'{key}') returning id as payment_id;
"""
DECLINES = "-- on 23505: decline paid_before\n"
OPERATIONS = {
    "sell": SELL.format(title="sold", key="key", place="payments.idempotency_key") + DECLINES,
    "door": SELL.format(title="at the door", key="sent_key", place="PAYMENTS.Idempotency_Key") + DECLINES,
    "raw": SELL.format(title="raw", key="key", place="payments.idempotency_key"),
}
LEAVES = SELL.format(title="leaves its row", key="key", place="payments.idempotency_key")
LEAVES += "select count(*) as payment_count from payments \\gset\n-- decline too_many if payment_count > 1\n"
"""The first statement is a transaction of its own, and stays where the call declines."""

TRIES = """
-- title: leaves a note, and is refused behind it
-- parameter key: text
insert into payments (idempotency_key, amount) values (:'key' || '-tried', 1);
insert into payments (idempotency_key, amount) values (:'key', 1);
"""
TRIED_BESIDE = """-- title: beside a sale nobody tries
select tried.id
from payments as tried
join payments as paid on tried.idempotency_key = paid.idempotency_key || '-tried'
where paid.amount is null
order by tried.id
"""

PAYMENTS = """
    create table payments (
        id {key} primary key, amount integer, idempotency_key text not null {unique},
        created_at {time} default current_timestamp
    )
"""
BOOKS = """
    create table integrity.p_calls (
        run_id text, operation_id text, operation text, client text, arguments {json}, reply {json}, returned_at {time},
        outcome text, error text
    );
    create table integrity.p_runs (
        run_id text, started_at {time}, ended_at {time}, alive_until {time}, state text
    );
    create table integrity.p_gaps (run_id text, calls_from {time}, ended_at {time});
    insert into integrity.p_runs values ('r', '2020-01-01', '2040-01-01', '2040-01-01', 'finished')
"""
WORDS = {
    "postgresql": {"key": "bigint generated always as identity", "time": "timestamptz", "json": "jsonb"},
    "sqlite": {"key": "integer", "time": "text", "json": "text"},
}
CALLS: Sequence[tuple[Any, ...]] = (  # operation, outcome, error, key: and how many rows have it, and who is told of
    (("sell", "ok", ""), ("door", "declined", ""), 1, {}),
    (("door", "ok", ""), ("sell", "failed", "23505"), 1, {}),
    (("sell", "unknown", ""), ("raw", "failed", "23505"), 1, {}),
    (("sell", "ok", ""), ("door", "ok", ""), 1, {}),
    (("sell", "ok", ""), ("door", "ok", ""), 2, {}),
    (("sell", "ok", ""), ("door", "ok", ""), 3, {"call-at-most-once": {"sell", "door"}}),
    (("sell", "ok", ""), ("sell", "ok", ""), 2, {"call-at-most-once": {"sell"}}),
    (("sell", "ok", ""), ("door", "declined", ""), 2, {"call-at-most-once": {"sell", "door"}}),
    (("sell", "declined", ""), ("door", "failed", "23505"), 1, {"failed-call-left-nothing": {"sell", "door"}}),
    (("sell", "unavailable", "53300"), ("door", "declined", ""), 1, {"failed-call-left-nothing": {"sell", "door"}}),
    (("sell", "unavailable", ""), ("door", "declined", ""), 1, {}),
    (("sell", "ok", ""), ("door", "ok", ""), 0, {"acknowledged-call-is-stored": {"sell", "door"}}),
)


def lay(folder: Path, operations: Mapping[str, str]) -> None:
    for name, text in operations.items():
        path = folder / "operations" / f"{name}.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.lstrip(), encoding="utf-8")
    (folder / "integrity.toml").write_text('[project]\nname = "p"\n', encoding="utf-8")


@pytest.fixture(params=["postgresql", "sqlite"])
def asked(request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[str], Sequence[Any]]]]:
    """What a database is called, and what asks it."""
    if request.param == "sqlite":
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("attach ':memory:' as integrity")
            yield request.param, lambda sql: connection.execute(sql).fetchall()
        return
    target = request.getfixturevalue("database")
    with target.connect() as served:
        served.autocommit = True
        served.execute("create schema integrity")
        yield request.param, lambda sql: cursor.fetchall() if (cursor := served.execute(sql)).description else []


def test_a_row_is_of_any_acknowledged_call_that_stored_its_value_there(
    asked: tuple[str, Callable[[str], Sequence[Any]]], tmp_path: Path
) -> None:
    engine, ask = asked
    lay(tmp_path, OPERATIONS)
    for statement in (PAYMENTS.format(**WORDS[engine], unique=""), *BOOKS.format(**WORDS[engine]).split(";")):
        ask(statement)
    expected: dict[str, set[tuple[str, str]]] = {"row-was-asked-for": {("", "nobody")}}
    for number, (*calls, rows, told) in enumerate(CALLS):
        for place, (operation, outcome, error) in enumerate(calls):
            name = "sent_key" if operation == "door" else "key"
            values = (
                f"'r', '{number}-{place}', '{operation}', '1', '{{\"{name}\": \"k{number}\"}}', '{{}}', current_timestamp"
            )
            ask(f"insert into integrity.p_calls values ({values}, '{outcome}', '{error}')")
        for _ in range(rows):
            ask(f"insert into payments (idempotency_key) values ('k{number}')")
        for invariant, operations in told.items():
            expected.setdefault(invariant, set()).update((each, f"k{number}") for each in operations)
    ask("insert into payments (idempotency_key) values ('nobody')")
    found: dict[str, set[tuple[str, str]]] = {}
    files = load_invariants(find_project(tmp_path), system="p")
    for invariant in (*expected,):
        text = files[f"p/{invariant}"].text.replace(":run_id", "cast(null as text)").replace(":in_gaps", "false")
        key = "arguments" if invariant.startswith("acknowledged") else "stored_value"
        operation = "''" if invariant == "row-was-asked-for" else "operation"
        found[invariant] = {
            (each, str(value).rpartition('": "')[2].rstrip('"}'))
            for each, value in ask(f"select {operation}, cast({key} as text) from ({text}) as told")
        }
    assert found == expected


def test_no_place_is_gone_through_again_for_every_call(database: Target, tmp_path: Path) -> None:
    lay(tmp_path, OPERATIONS)
    words = WORDS["postgresql"]
    with database.connect() as connection:
        connection.execute("create schema integrity")
        for statement in (PAYMENTS.format(**words, unique=""), *BOOKS.format(**words).split(";")):
            connection.execute(statement.encode())
        connection.execute(
            b"insert into integrity.p_calls select 'r', n::text, (array['sell', 'door', 'raw'])[n % 3 + 1], '1',"
            b" jsonb_build_object('key', 'k' || n, 'sent_key', 'k' || n), '{}', now(),"
            b" (array['ok', 'declined', 'failed', 'unknown'])[n % 4 + 1], '' from generate_series(1, 2000) as n"
        )
        connection.execute(b"insert into payments (idempotency_key) select 'k' || n from generate_series(1, 2000) as n")
        connection.execute("analyze")
        handled = {}
        for name, file in load_invariants(find_project(tmp_path), system="p").items():
            if name.startswith("p/"):
                text = file.text.replace(":run_id", "cast(null as text)").replace(":in_gaps", "false")
                shown = connection.execute(f"explain (analyze, timing off, format json) {text}".encode()).fetchone()
                assert shown is not None
                handled[name] = sum(map(rows_of, nodes(shown[0][0]["Plan"])))
    assert len(handled) == 4
    assert {name: number for name, number in handled.items() if number > TIMES_MOST * 4000} == {}


def test_in_races_too_and_what_comes_out_wrong_one_after_the_other_is_explained_by_no_cycle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(tmp_path, {**OPERATIONS, "leaves": LEAVES, "tries": TRIES})
    with closing(sqlite3.connect(tmp_path / "p.db")) as connection:
        connection.execute(PAYMENTS.format(**WORDS["sqlite"], unique="unique"))
    monkeypatch.chdir(tmp_path)

    def race(*names: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(["race", *names, "--database", "sqlite:///p.db"])
        return ended.value.code, "".join(capsys.readouterr())

    for other, expected in {"door": 0, "raw": 3}.items():
        code, out = race("sell", other, "--schedule", "A")
        assert (code, "violated" in out) == (expected, False), out
    code, out = race("leaves", "leaves", "--preemptions", "0")
    assert (code, "violated  p/failed-call-left-nothing  1 row" in out) == (1, True), out
    Path("invariants").mkdir()
    Path("invariants/no-try-beside-a-sale.sql").write_text(TRIED_BESIDE)
    code, out = race("sell", "tries", "--schedule", "A")
    assert (code, "violated  no-try-beside-a-sale  1 row" in out, "refused: 23505" in out) == (1, True, True), out
    assert "schedule (one after the other), 0 preemptions" in out
    assert "no race: the calls come out wrong even one after the other." in out
    assert "cycle" not in out


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_where_a_row_is_stored_is_looked_for_before_a_race_and_a_run(
    engine: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if engine == "sqlite":
        url = "sqlite:///p.db"
        with closing(sqlite3.connect(tmp_path / "p.db")) as connection:
            connection.execute(PAYMENTS.format(**WORDS[engine], unique=""))
    else:
        target = request.getfixturevalue("database")
        url = target.text
        with target.connect() as served:
            served.execute(PAYMENTS.format(**WORDS[engine], unique=""))
            served.commit()
    monkeypatch.chdir(tmp_path)
    wrong = {
        "payments.idempotency_key": ("payments.idempotency_kee", "idempotency_kee", "idempotency_key"),
        "at created_at": ("at creatd_at", "creatd_at", "created_at"),
        "stores: payments.": ("stores: paymnts.", "paymnts", "payments"),
    }
    for right, (written, name, meant) in wrong.items():
        lay(tmp_path, {"sell": OPERATIONS["sell"].replace(right, written)})
        line = Path("operations/sell.sql").read_text().splitlines()[2]
        for command in (("race", "sell"), ("run", "smoke", "--duration", "1s")):
            with pytest.raises(SystemExit) as ended:
                main([*command, "--database", url])
            said = capsys.readouterr().err
            told, shown, caret, hint = said.removeprefix("integrity: ").splitlines()[:4]
            assert (ended.value.code, told.startswith("operations/sell.sql:3: stores: "), name in told) == (
                2,
                True,
                True,
            ), said
            assert shown.endswith(line)
            assert shown[caret.index("^") :].startswith(name)
            assert "Perhaps you meant" in hint
            assert meant in hint


def test_what_a_project_declares_of_its_calls_alone_is_its_own_and_listed_without_what_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `validate` judges it: there need be no invariants/ for that."""
    monkeypatch.chdir(tmp_path)
    lay(tmp_path, {"sell": OPERATIONS["sell"]})
    with pytest.raises(SystemExit):
        main(["list", "--json"])
    names = [each["name"] for each in json.loads(capsys.readouterr().out)["invariants"]]
    made = ("acknowledged-call-is-stored", "call-at-most-once", "failed-call-left-nothing", "row-was-asked-for")
    assert names == [f"p/{each}" for each in made]
