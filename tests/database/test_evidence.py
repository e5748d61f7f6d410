"""Evidence is the server's own text: no value loses a verdict, and none is shown as what it is not."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from integrity.audit import AuditSettings, audit
from integrity.engines.server_text import distinct, limit_of_a_value
from integrity.engines.target import Target
from integrity.events import InvariantJudged
from integrity.invariants.evidence import operation_ids_of
from integrity.report.audit_json import render_json
from integrity.report.audit_junit import render_junit
from integrity.report.audit_markdown import render_markdown
from integrity.report.audit_report import collect
from integrity.report.audit_text import render_text
from integrity.verdict import Verdict
from tests.database.bank import execute, file, files, findings, only

VALUES = [
    ("'infinity'::timestamptz", "infinity"),
    ("'-infinity'::date", "-infinity"),
    ("'0044-03-15 BC'::date", "0044-03-15 BC"),
    ("'10000-01-01'::timestamp", "10000-01-01 00:00:00"),
    ("'24:00'::time", "24:00:00"),
    ("'12:00+02'::timetz", "12:00:00+02"),
    ("array['infinity'::date, null]", "{infinity,NULL}"),
    ("tstzrange(null, 'infinity')", '(,infinity)'),
    ("daterange('2026-01-01', null)", "[2026-01-01,)"),
    ("'1 mon'::interval", "1 mon"),
    ("'1 year 2 mons -3 days'::interval", "1 year 2 mons -3 days"),
    ("'NaN'::float8", "NaN"),
    ("'-Infinity'::float8", "-Infinity"),
    ("'NaN'::numeric", "NaN"),
    ("100::numeric", "100"),
    ("100.010::numeric", "100.010"),
    (r"'\xdead'::bytea", r"\xdead"),
    ("'2026-01-01 10:00:00.000001'::timestamp", "2026-01-01 10:00:00.000001"),
    ("'{\"wei\": 123456789012345678901234567890}'::jsonb", '{"wei": 123456789012345678901234567890}'),
    ("row(null, 1)", "(,1)"),
    ("row(null)", "()"),
    ("'ab'::char(4)", "ab  "),
    ("''::text", ""),
    ("null::text", None),
    ("9223372036854775807", 9223372036854775807),
    ("true", True),
]  # fmt: skip


def test_every_value_is_shown_as_the_server_spells_it(database: Target) -> None:
    columns = ", ".join(f"{expression} as v{number}" for number, (expression, _) in enumerate(VALUES))
    found = only(database, f"select {columns}")
    assert (found.verdict, found.violation_count) == (Verdict.VIOLATED, 1)
    assert list(found.rows[0].values()) == [shown for _, shown in VALUES]


def test_a_column_is_of_one_type_in_every_row(database: Target) -> None:
    found = only(database, "select id, amount from (values (1, 100::numeric), (2, 100.01), (3, null)) as a (id, amount)")
    assert [(row["id"], row["amount"]) for row in found.rows] == [(1, "100"), (2, "100.01"), (3, None)]


def test_columns_of_one_name_are_all_kept_numbered(database: Target) -> None:
    found = only(database, "select 1 as id, 2 as id, 3 as id_2, 4 as id")
    assert list(found.rows) == [{"id": 1, "id_3": 2, "id_2": 3, "id_4": 4}]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a"], ["a", "a_2"]),
        (["a", "a", "a_2"], ["a", "a_3", "a_2"]),
        (["", ""], ["", "_2"]),
    ],
)
def test_no_two_columns_have_one_name(names: list[str], shown: list[str]) -> None:
    assert distinct(names) == shown


MONSTERS = {
    "digits": ("jsonb_build_object('n', repeat('9', 5000)::numeric)", "... (5007 characters)"),
    "depth": ("(repeat('[', 3000) || repeat(']', 3000))::jsonb", "... (6000 characters)"),
    "length": ("repeat('x', 30000000)", "... (30000000 characters)"),
}


@pytest.mark.parametrize("kind", MONSTERS)
def test_a_monstrous_value_reaches_every_report_cut_with_its_length_said(database: Target, kind: str) -> None:
    expression, ending = MONSTERS[kind]
    events = audit(database, files(a=f"select {expression} as value", b="select 1 as one where false"), AuditSettings())
    report = collect(events)
    assert [judged.finding.verdict for judged in report.judged] == [Verdict.VIOLATED, Verdict.HOLDS]
    value = report.judged[0].finding.rows[0]["value"]
    assert value.endswith(ending) or len(value) == int(ending.split("(")[1].split()[0])
    assert json.loads(render_json(report))["invariants"][0]["rows"] == [{"value": value}]
    for render in (render_text, render_junit, render_markdown):
        assert render(report)


def test_all_of_the_evidence_stays_within_memory_however_many_rows_and_columns() -> None:
    assert limit_of_a_value(10, 5) == 20_000
    assert limit_of_a_value(10_000, 5) * 10_000 * 5 <= 50_000_000


@pytest.mark.exhaustive  # the value takes a gigabyte and some ten seconds
def test_rows_that_the_server_cannot_write_out_leave_the_violation_its_count_and_say_why(database: Target) -> None:
    """A value of a gigabyte has no text: twice as long as it is, written out."""
    query = "select v.payload from (select 1 as id) as one cross join lateral " \
        "(select case when one.id = 1 then pg_catalog.repeat(E'x', 600000000)::bytea end as payload) as v"  # fmt: skip
    found = findings(database, files(x=query, y="select 1 as one where false"))
    assert (found["x"].verdict, found["x"].violation_count, list(found["x"].rows)) == (Verdict.VIOLATED, 1, [])
    assert found["x"].reason.startswith("its rows cannot be shown: ")
    assert found["y"].verdict is Verdict.HOLDS


def test_the_rows_keep_the_order_of_their_query(database: Target) -> None:
    found = only(database, "select n, n::text as t from generate_series(1, 1000) as n order by n % 7 desc, n", row_limit=4)
    assert [row["t"] for row in found.rows] == ["6", "13", "20", "27"]


def test_a_volatile_value_is_written_out_once(database: Target) -> None:
    found = only(database, "select random()::text as a, repeat(chr(65 + (random() * 20)::int), 3) as b")
    assert len(set(found.rows[0]["b"])) == 1


@pytest.mark.parametrize(
    "written",
    [
        "{{{0},{1}}}",
        "{0} {1}",
        "{0}, {1}",
        "{{{0},NULL,{1}}}",
        "x={0};{1}",
    ],
)
def test_operation_ids_are_found_in_whatever_text_holds_them(written: str) -> None:
    one, two = UUID(int=1), UUID(int=2)
    assert operation_ids_of([{"operation_ids": written.format(one, two), "id": str(UUID(int=3))}]) == [one, two]


HISTORY = """
create schema integrity;
create table integrity.runs (run_id text, system text);
create table integrity.calls (run_id text, operation_id uuid, operation text, arguments jsonb, client int,
    intended_at timestamptz, invoked_at timestamptz, returned_at timestamptz, outcome text, reply jsonb, error text,
    attempts int);
"""


def test_the_calls_behind_a_row_with_an_array_of_ids_come_with_it(database: Target) -> None:
    one = UUID(int=7)
    execute(database, HISTORY)
    with database.connect() as connection:
        connection.execute(
            "insert into integrity.calls values ('r', %s, 'pay', jsonb_build_object('wei', repeat('9', 5000)::numeric), 1, "
            "now(), '2026-01-01 10:00:00.000001+00', 'infinity', 'ok', '{}', '', 1)",
            (one,),
        )
    query = f"select array['{one}'::uuid] as operation_ids"
    (judged,) = [e for e in audit(database, [file(query)], AuditSettings()) if isinstance(e, InvariantJudged)]
    (call,) = judged.calls
    assert (call["operation_id"], call["returned_at"]) == (str(one), "infinity")


@pytest.mark.parametrize(
    "query",
    [
        "select id, '{id}' as operation_id from {system}.sales",
        "select id, '{id}' as operation_id from {system}.sales where id < 1_000",
        "select calls.operation_id from integrity.{system}_calls as calls",
    ],
)
def test_the_calls_behind_a_row_are_those_of_its_own_system(database: Target, query: str) -> None:
    """Two runs of one seed give their operations the same ids, whatever system they are of."""
    one = UUID(int=7)
    execute(database, HISTORY)
    for system in ("venue", "bank"):
        execute(
            database,
            f"""
            create schema {system}; create table {system}.sales (id int); insert into {system}.sales values (1);
            create view integrity.{system}_calls as select calls.* from integrity.calls join integrity.runs using (run_id)
            where runs.system = '{system}';
            insert into integrity.runs values ('r-{system}', '{system}');
            insert into integrity.calls values ('r-{system}', '{one}', 'of {system}', '{{}}', 1, now(), now(), now(), 'ok')
            """,
        )
    asked = [file(query.format(system=system, id=one), f"own/{system}") for system in ("venue", "bank")]
    found = [event for event in audit(database, asked, AuditSettings()) if isinstance(event, InvariantJudged)]
    assert {judged.finding.name: [call["operation"] for call in judged.calls] for judged in found} == {
        "own/venue": ["of venue"], "own/bank": ["of bank"],
    }  # fmt: skip


def test_sqlite_evidence_is_its_own_text_and_a_column_of_one_type(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path}/e.db")
    with closing(sqlite3.connect(tmp_path / "e.db", isolation_level=None)) as connection:
        connection.execute("create table a (id integer, amount numeric, body blob, ratio real, note text, long text)")
        connection.execute("insert into a values (1, 100, x'DEAD', 9e999, cast(x'E9' as text), ?)", ("x" * 100_000,))
        connection.execute("insert into a values (9223372036854775807, 100.5, null, -9e999, 'b', null)")
    found = only(target, "select id, amount, body, ratio, note, long from a where id > 0 order by id")
    first, second = found.rows
    assert (first["id"], second["id"]) == (1, 2**63 - 1)
    assert (first["amount"], second["amount"]) == ("100", "100.5")
    assert (first["body"], second["body"]) == ("X'DEAD'", None)
    assert (first["ratio"], second["ratio"]) == ("Inf", "-Inf")
    assert (first["note"], second["note"]) == ("\N{REPLACEMENT CHARACTER}", "b")
    assert first["long"].endswith("... (100000 characters)")


def test_a_price_valid_for_ever_and_a_shop_open_to_midnight_are_judged(database: Target) -> None:
    """What tables of validity hold: infinity for "until further notice", 24:00 for the end of a day."""
    execute(
        database,
        """
        create table prices (id int primary key, item int, during tstzrange, closes time);
        insert into prices values
            (1, 1, tstzrange('2026-01-01', 'infinity'), '24:00'), (2, 1, tstzrange('2026-06-01', 'infinity'), '18:00')
        """,
    )
    found = findings(
        database,
        files(
            overlap="select a.id, b.id, a.during * b.during as both from prices a join prices b "
            "on a.item = b.item and a.id < b.id and a.during && b.during",
            closes="select id, closes from prices where closes >= '24:00'",
        ),
    )
    assert list(found["overlap"].rows) == [{"id": 1, "id_2": 2, "both": '["2026-06-01 00:00:00+00",infinity)'}]
    assert list(found["closes"].rows) == [{"id": 1, "closes": "24:00:00"}]
