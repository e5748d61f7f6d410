"""The audit on a real PostgreSQL: one snapshot, three verdicts, and nothing written."""

import threading
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

import integrity.engines.postgresql.snapshot as snapshot_module
from integrity.audit import AuditSettings, audit, plan_audit
from integrity.engines.snapshot import QueryFailed
from integrity.engines.target import Target
from integrity.errors import Unreachable
from integrity.events import AuditFinished, AuditStarted, InvariantJudged
from integrity.verdict import Verdict
from tests.database.bank import BALANCE, BANK, HAS_WALLET, NOT_NEGATIVE, execute, file, files, findings, only


@pytest.fixture
def bank(database: Target) -> Target:
    execute(database, BANK)
    return database


SLEEP = ("pg_catalog.pg_sleep",)


def test_events_come_in_order_and_say_what_was_read(bank: Target) -> None:
    events = list(audit(bank, files(balance=BALANCE, negative=NOT_NEGATIVE), AuditSettings()))
    started, *judged, finished = events
    assert isinstance(started, AuditStarted)
    assert isinstance(finished, AuditFinished)
    assert started.invariants == ("bank/balance", "bank/negative")
    assert started.consistency.startswith("one snapshot (")
    assert {event.finding.verdict for event in judged if isinstance(event, InvariantJudged)} == {Verdict.HOLDS}


def test_violations_are_counted_and_the_first_of_them_shown_in_the_query_order(bank: Target) -> None:
    execute(bank, "update bank.wallets set balance = -balance where id > 20")
    found = only(bank, "select id, balance from bank.wallets where balance < 0 order by id desc", row_limit=2)
    assert (found.verdict, found.violation_count, found.method) == (Verdict.VIOLATED, 30, "scan")
    assert list(found.rows) == [{"id": 50, "balance": -100}, {"id": 49, "balance": -100}]


def test_a_query_with_a_limit_of_its_own_keeps_it(bank: Target) -> None:
    found = only(bank, "select id from bank.wallets order by id limit 3;\n-- as it is\n", row_limit=2)
    assert (found.violation_count, [row["id"] for row in found.rows]) == (3, [1, 2])


def test_no_rows_are_fetched_when_none_are_wanted(bank: Target) -> None:
    found = only(bank, "select id from bank.wallets where balance > 0", row_limit=0)
    assert (found.verdict, found.violation_count, list(found.rows)) == (Verdict.VIOLATED, 50, [])


def test_every_session_sees_the_same_rows_whatever_is_committed_meanwhile(
    bank: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transfer is committed just before the second session connects: without the imported snapshot it would see it."""
    connect = snapshot_module._connect
    opened: list[object] = []

    def connect_after_a_transfer(
        target: Target, connections: "list[psycopg.Connection[tuple[object, ...]]]", timeout_s: float
    ) -> object:
        if opened:
            execute(bank, "update bank.wallets set balance = balance + 1 where id = 1")
        opened.append(target)
        return connect(target, connections, timeout_s)

    monkeypatch.setattr(snapshot_module, "_connect", connect_after_a_transfer)
    with bank.open_snapshot(connections=3, timeout_s=30) as snapshot:
        totals = [
            session.read("select sum(balance) as total from bank.wallets")[0]["total"] for session in snapshot.sessions
        ]
    assert totals == [5000, 5000, 5000]


def test_an_audit_beside_writers_has_no_false_alarm_and_no_fingerprint_that_differs(bank: Target) -> None:
    """Wallets and entries are scanned by two statements on two connections: on two snapshots their fingerprints differ."""
    stop = threading.Event()
    transfers: list[int] = []

    def write(start: int) -> None:
        with bank.connect() as connection:
            number = start
            while not stop.is_set():
                number += 1
                with connection.transaction():
                    connection.execute("update bank.wallets set balance = balance - 1 where id = %s", (start,))
                    connection.execute("insert into bank.entries (wallet_id, amount) values (%s, -1)", (start,))
                transfers.append(number)

    writers = [threading.Thread(target=write, args=[start]) for start in (1, 2, 3)]
    for writer in writers:
        writer.start()
    try:
        found = [
            finding
            for _ in range(15)
            for finding in findings(bank, files(balance=BALANCE, sums=BALANCE.replace("is distinct from", "<>"))).values()
        ]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert len(transfers) > 15, "the writers were to write meanwhile"
    assert {(finding.verdict, finding.method) for finding in found} == {(Verdict.HOLDS, "fingerprint")}


def test_evidence_is_of_the_same_moment_as_its_count(bank: Target) -> None:
    """What was violated when the snapshot was taken is shown, though it was mended before its rows were asked for."""
    execute(bank, "update bank.wallets set balance = -1 where id = 7")
    found = []
    for event in audit(bank, files(negative=NOT_NEGATIVE), AuditSettings()):
        if isinstance(event, AuditStarted):
            execute(bank, "update bank.wallets set balance = 100 where id = 7")
        if isinstance(event, InvariantJudged):
            found.append(event.finding)
    assert [(finding.violation_count, list(finding.rows)) for finding in found] == [(1, [{"id": 7, "balance": -1}])]


def test_a_query_without_an_answer_in_time_is_unknown_and_the_others_are_judged(bank: Target) -> None:
    slow = "select id from bank.wallets where pg_sleep(30) is not null and balance < 0"
    found = findings(
        bank, files(slow=slow, negative=NOT_NEGATIVE, reference=HAS_WALLET), timeout_s=0.3, trusted_functions=SLEEP
    )
    assert (found["slow"].verdict, found["slow"].reason) == (
        Verdict.UNKNOWN, "no answer within 0.3 s; a longer --timeout may help",
    )  # fmt: skip
    assert {found["negative"].verdict, found["reference"].verdict} == {Verdict.HOLDS}


def test_what_the_server_refuses_is_unknown_with_place_caret_and_hint(bank: Target) -> None:
    found = findings(
        bank,
        [
            file("select id\nfrom bank.wallets\nwhere amout = :least\n", "bank/scan", "-- parameter: least bigint = 1\n"),
            file("select sum(balance)\nfrom bank.wallets\nhaving sum(balans) > 1\n", "bank/query"),
            file(NOT_NEGATIVE, "bank/negative"),
            file("select id from bank.walets where id = 1", "bank/missing"),
            file("select 1 / (balance - balance) from bank.wallets order by 1 / (balance - balance)", "bank/division"),
        ],
    )
    assert found["scan"].reason == (
        'invariants/bank/scan.sql:5: column "amout" does not exist\n  5 | where amout = :least\n            ^'
    )
    assert found["query"].reason == (
        'invariants/bank/query.sql:4: column "balans" does not exist\n  4 | having sum(balans) > 1\n                 ^\n'
        '  hint: Perhaps you meant to reference the column "wallets.balance".'
    )
    assert found["missing"].reason == (
        "invariants/bank/missing.sql:2: there is no table bank.walets\n  2 | select id from bank.walets where id = 1\n"
        "                     ^"
    )
    assert found["division"].reason == "invariants/bank/division.sql: division by zero"
    assert {finding.verdict for name, finding in found.items() if name != "negative"} == {Verdict.UNKNOWN}
    assert found["negative"].verdict is Verdict.HOLDS


def test_a_check_that_fails_in_a_shared_scan_does_not_take_the_others_with_it(bank: Target) -> None:
    execute(bank, "update bank.wallets set balance = 0 where id = 3")
    found = findings(
        bank,
        files(
            bad="select id from bank.wallets where 1 / balance > 5", zero="select id from bank.wallets where balance = 0"
        ),
    )
    assert (found["bad"].verdict, found["zero"].verdict) == (Verdict.UNKNOWN, Verdict.VIOLATED)
    assert list(found["zero"].rows) == [{"id": 3}]


def test_a_role_that_may_only_select_is_enough_and_what_it_may_not_see_is_unknown(bank: Target) -> None:
    execute(
        bank,
        """
        create role reader login;
        grant usage on schema bank to reader;
        grant select on bank.wallets to reader;
        create schema closed; create table closed.vault (id bigint); insert into closed.vault values (1);
        create table bank.hidden (id bigint); insert into bank.hidden values (-1);
        alter table bank.hidden enable row level security; grant select on bank.hidden to reader;
        """,
    )
    reader = Target(bank.url.set(username="reader"))
    try:
        found = findings(
            reader,
            files(
                negative=NOT_NEGATIVE,
                reference=HAS_WALLET,
                vault="select id from closed.vault where id < 0",
                hidden="select id from bank.hidden where id < 0",
            ),
        )
    finally:
        execute(bank, "drop owned by reader; drop role reader")
    assert found["negative"].verdict is Verdict.HOLDS
    assert "permission denied for table entries" in found["reference"].reason
    assert "permission denied for schema closed" in found["vault"].reason
    assert 'query would be affected by row-level security policy for table "hidden"' in found["hidden"].reason


def test_nothing_can_be_written_through_a_snapshot(bank: Target) -> None:
    with bank.open_snapshot(connections=1, timeout_s=30) as snapshot:
        with pytest.raises(QueryFailed, match="cannot execute UPDATE in a read-only transaction"):
            snapshot.sessions[0].read("update bank.wallets set balance = 0 returning id")
        assert snapshot.sessions[0].read("select count(*) as count from bank.wallets") == [{"count": 50}]


CANCELLED = """
create function bank.replayed() returns boolean stable language plpgsql as $$
begin
    if not exists (select from bank.calm) then
        raise exception 'canceling statement due to conflict with recovery' using errcode = '40001';
    end if;
    return true;
end $$;
create table bank.calm (id bigint);
"""


def test_what_a_standby_cancels_is_judged_once_more_on_a_second_snapshot(bank: Target) -> None:
    execute(bank, CANCELLED)
    query = "select id from bank.wallets where bank.replayed() and balance < 0"
    found = []
    for event in audit(bank, files(x=query, negative=NOT_NEGATIVE), AuditSettings()):
        if isinstance(event, AuditStarted):  # the snapshot is taken: what is committed now is seen by the second one only
            execute(bank, "insert into bank.calm values (1)")
        if isinstance(event, InvariantJudged):
            found.append((event.finding.name, event.finding.verdict, event.finding.method))
    assert sorted(found) == [
        ("bank/negative", Verdict.HOLDS, "scan shared by 2, on a second snapshot"),
        ("bank/x", Verdict.HOLDS, "scan shared by 2, on a second snapshot"),
    ]


def test_what_is_cancelled_twice_is_unknown(bank: Target) -> None:
    execute(bank, CANCELLED)
    found = only(bank, "select id from bank.wallets where bank.replayed() and balance < 0")
    assert (found.verdict, found.method) == (Verdict.UNKNOWN, "scan, on a second snapshot")


def test_connections_that_break_are_made_anew(bank: Target) -> None:
    found = []
    for event in audit(bank, files(negative=NOT_NEGATIVE, reference=HAS_WALLET), AuditSettings()):
        if isinstance(event, AuditStarted):
            execute(
                bank,
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where application_name = 'integrity-validate' and datname = current_database()",
            )
        if isinstance(event, InvariantJudged):
            found.append(event.finding.verdict)
    assert found == [Verdict.HOLDS, Verdict.HOLDS]


def backends(target: Target) -> int:
    with target.connect() as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity where application_name = 'integrity-validate' "
            "and datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_closing_an_audit_ends_its_queries_and_connections(bank: Target) -> None:
    events = audit(
        bank,
        files(negative=NOT_NEGATIVE, slow="select 1 from bank.entries where pg_sleep(600) is null"),
        AuditSettings(trusted_functions=SLEEP),
    )
    assert isinstance(next(events), AuditStarted)
    assert isinstance(next(events), InvariantJudged)  # the other is still asleep on its connection
    assert backends(bank) == 2
    events.close()
    with bank.connect() as connection:
        connection.execute("select pg_stat_clear_snapshot()")
    assert backends(bank) == 0


def test_a_server_with_too_few_connections_is_an_error_before_anything_is_judged(bank: Target) -> None:
    execute(bank, "create role narrow login connection limit 1")
    try:
        with pytest.raises(Unreachable, match="too many connections for role"):
            findings(Target(bank.url.set(username="narrow")), files(negative=NOT_NEGATIVE))
    finally:
        execute(bank, "drop role narrow")


def test_a_plan_says_how_each_would_be_judged_and_judges_nothing(bank: Target) -> None:
    execute(bank, "update bank.wallets set balance = -5")
    plan = plan_audit(bank, files(negative=NOT_NEGATIVE, balance=BALANCE, reference=HAS_WALLET), AuditSettings())
    assert [step.method(plan.scans) for step in plan.steps] == ["scan shared by 2", "fingerprint", "query"]


def test_the_calls_behind_violating_rows_come_with_them(bank: Target) -> None:
    ids = [UUID(int=number) for number in (1, 2, 3)]
    execute(
        bank,
        """
        create schema integrity;
        create table integrity.calls (run_id text, operation_id uuid, operation text, arguments jsonb, client int,
            intended_at timestamptz, invoked_at timestamptz, returned_at timestamptz, outcome text, reply jsonb, error text,
            attempts int);
        create table integrity.runs (run_id text, system text);
        insert into integrity.runs values ('r', 'bank')
        """,
    )
    with bank.connect() as connection:
        for number, operation_id in enumerate(ids):
            connection.execute(
                "insert into integrity.calls values ('r', %s, 'pay', '{}', 1, now(), now() + %s * interval '1 s')",
                (operation_id, number),
            )
        connection.execute("update bank.entries set operation_id = %s, amount = null where id = 1", (ids[1],))
        connection.execute("update bank.entries set operation_id = %s, amount = null where id = 2", (ids[0],))
    query = "select id, operation_id from bank.entries where amount is null order by id"
    judged = [event for event in audit(bank, files(x=query), AuditSettings()) if isinstance(event, InvariantJudged)]
    assert judged[0].operation_count == 2
    assert [call["operation_id"] for call in judged[0].calls] == [str(ids[0]), str(ids[1])]


def sqlite_bank(path: Path, statements: Iterable[str]) -> Target:
    target = Target.parse(f"sqlite:///{path}/bank.db")
    with target.connect_sqlite() as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return target


def test_sqlite_is_judged_in_one_read_transaction(tmp_path: Path) -> None:
    target = sqlite_bank(
        tmp_path,
        [
            "create table wallets (id integer primary key, balance bigint not null, at text)",
            "create table empty (id integer)",
            "insert into wallets values (1, -5, '2026-01-01 00:00:00'), (2, 7, '2999-01-01 00:00:00.5')",
        ],
    )
    header = "-- parameter: cutoff timestamptz = now\n"
    invariants = [
        file("select id, balance from wallets where balance < 0", "bank/negative"),
        file("select id from wallets where at > :cutoff", "bank/future", header),
        file("select id from wallets where balance > 100", "bank/rich"),
        file("select id from wallets group by id having sum(balance) <> 7 limit 1", "bank/sum"),
        file("select id from wallets where at < now()", "bank/now"),
        file("select id from empty where id = 1", "bank/empty"),
        file("select id from gone where id = 1", "bank/gone"),
    ]
    events = list(audit(target, invariants, AuditSettings(timeout_s=20)))
    found = {event.finding.name: event.finding for event in events if isinstance(event, InvariantJudged)}
    assert isinstance(events[0], AuditStarted)
    assert events[0].consistency.startswith("one read transaction of SQLite")
    assert list(found["bank/negative"].rows) == [{"id": 1, "balance": -5}]
    assert list(found["bank/future"].rows) == [{"id": 2}]
    assert (found["bank/rich"].verdict, found["bank/rich"].method) == (Verdict.HOLDS, "scan shared by 3")
    assert list(found["bank/sum"].rows) == [{"id": 1}]
    assert {name: finding.reason for name, finding in found.items() if finding.verdict is Verdict.UNKNOWN} == {
        "bank/now": "not for SQLite: now() (pass the time as a parameter)",
        "bank/gone": "invariants/bank/gone.sql: there is no table gone",
    }
    assert (found["bank/empty"].verdict, found["bank/empty"].reason) == (Verdict.EMPTY, "empty is empty")


def test_a_slow_query_on_sqlite_is_ended_in_time(tmp_path: Path) -> None:
    target = sqlite_bank(tmp_path, ["create table n (id integer)", "insert into n values (1)"])
    endless = (
        "with recursive steps as (select 1 as id from n union all select steps.id + 1 from steps) "
        "select count(steps.id) from steps having count(steps.id) = 0"
    )
    found = findings(target, files(slow=endless), timeout_s=0.2)
    assert found["slow"].reason.startswith("no answer within 0.2 s")
