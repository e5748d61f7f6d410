"""The query decides: nothing that is known beforehand stands for a verdict, and nothing else is lost with one."""

import os
from pathlib import Path

import pytest

import integrity.engines.postgresql.snapshot as snapshot_module
from integrity.audit import AuditSettings, audit, plan_audit
from integrity.engines.postgresql.session_settings import audit_settings
from integrity.engines.postgresql.snapshot import PostgresqlSession
from integrity.engines.snapshot import QueryFailed
from integrity.engines.target import Target
from integrity.events import InvariantJudged
from integrity.invariants import plan as planner
from integrity.invariants import row_check
from integrity.invariants.load import load_invariants
from integrity.project import Project, Settings
from integrity.report.audit_json import render_json
from integrity.report.audit_report import collect
from integrity.verdict import InvariantVerdict, Verdict
from tests.database.bank import BANK, HAS_WALLET, NOT_NEGATIVE, execute, file, files, findings, only


@pytest.fixture
def bank(database: Target) -> Target:
    execute(database, BANK)
    return database


def test_losing_a_whole_table_violates_what_asks_for_a_row_of_it(database: Target) -> None:
    execute(database, "create table admins (id bigint)")
    found = only(database, "select 'nobody administers' as fault where not exists (select from admins)")
    assert (found.verdict, list(found.rows)) == (Verdict.VIOLATED, [{"fault": "nobody administers"}])


def test_where_every_table_is_empty_and_the_query_returns_nothing_there_was_nothing_to_judge(bank: Target) -> None:
    execute(bank, "truncate bank.entries; create table bank.refunds (id bigint, wallet_id bigint unique)")
    found = findings(
        bank,
        files(
            scanned="select id from bank.refunds where id < 0",
            asked="select a.id from bank.refunds a join bank.entries b on b.wallet_id > a.wallet_id",
            proved="select wallet_id from bank.refunds where wallet_id is not null group by wallet_id having count(*) > 1",
            half="select w.id from bank.wallets w join bank.refunds r on r.wallet_id = w.id",
            reference=HAS_WALLET,
        ),
    )
    assert {name: (finding.verdict, finding.reason) for name, finding in found.items()} == {
        "scanned": (Verdict.EMPTY, "bank.refunds is empty"),
        "asked": (Verdict.EMPTY, "bank.entries, bank.refunds are all empty"),
        "proved": (Verdict.EMPTY, "bank.refunds is empty"),
        "half": (Verdict.HOLDS, ""),
        "reference": (Verdict.HOLDS, ""),
    }


def test_what_our_parser_does_not_know_has_nothing_to_judge_either_where_its_tables_are_empty(bank: Target) -> None:
    execute(
        bank,
        """
        truncate bank.entries;
        create table bank.refunds (id bigint unique, wallet_id bigint);
        create table bank.parted (id bigint) partition by range (id);
        create table bank.part partition of bank.parted for values from (0) to (10);
        create view bank.front as select id from bank.refunds where id > 0;
        create view bank.over_front as select id from bank.front;
        create view bank.hidden as select id from bank.wallets where id < 0;
        create view bank.made as select 1 as id where false;
        create schema other; create table other.refunds (id bigint); insert into other.refunds values (-7);
        create sequence bank.numbers
        """,
    )
    found = findings(
        bank,
        files(
            table="select id from bank.refunds where id > 1_000",
            with_parameter="select id from bank.refunds where id > 1_000 and id::text = 'a'",
            both="select r.id from bank.refunds r join bank.entries e on e.id > r.id + 1_000",
            view="select id from bank.over_front where id > 1_000",
            parted="select id from bank.parted where id > 1_000",
            never="select id from bank.refunds where 1_000 < 1",
            half="select r.id from bank.refunds r left join bank.wallets w on w.id = r.id where r.id > 1_000",
            removed="select w.id from bank.wallets w left join bank.refunds r on r.id = w.id where w.id > 1_000",
            unseen="select id from bank.refunds where id > 1_000 and exists (select from bank.wallets where 1_000 < 1)",
            catalogue="select r.id from bank.refunds r, pg_catalog.pg_class c where r.id > 1_000",
            hidden="select id from bank.hidden where id < 1_000",
            counter="select last_value from bank.numbers where last_value > 1_000",
            without="select 1 as one where 1 > 1_000",
            made="select id from bank.made where id > 1_000",
            namesake="select id from other.refunds where id > 1_000",
            aggregate="select count(*) as n from bank.refunds where id > 1_000",
        ),
    )
    assert {name: (finding.verdict, finding.reason) for name, finding in found.items()} == {
        "table": (Verdict.EMPTY, "bank.refunds is empty"),
        "with_parameter": (Verdict.EMPTY, "bank.refunds is empty"),
        "both": (Verdict.EMPTY, "bank.entries, bank.refunds are all empty"),
        "view": (Verdict.EMPTY, "bank.refunds is empty"),
        "parted": (Verdict.EMPTY, "bank.parted is empty"),
        "never": (Verdict.EMPTY, "bank.refunds is empty"),
        **dict.fromkeys(
            ("half", "removed", "unseen", "catalogue", "hidden", "counter", "without", "made", "namesake"),
            (Verdict.HOLDS, ""),
        ),
        "aggregate": (Verdict.VIOLATED, ""),
    }


def test_what_cannot_be_found_out_of_a_query_that_our_parser_does_not_know_is_not_called_empty(
    bank: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> object:
        raise QueryFailed("permission denied for function pg_lock_status")

    monkeypatch.setattr(PostgresqlSession, "tables", fail)
    execute(bank, "truncate bank.entries")
    assert only(bank, "select id from bank.entries where id > 1_000").verdict is Verdict.HOLDS


def test_a_table_that_is_filled_during_the_audit_is_empty_to_all_of_it(bank: Target) -> None:
    execute(bank, "create table bank.refunds (id bigint)")
    verdicts = []
    for event in audit(bank, files(refunds="select id from bank.refunds where id < 0"), AuditSettings()):
        execute(bank, "insert into bank.refunds values (-1)")
        if isinstance(event, InvariantJudged):
            verdicts.append(event.finding.verdict)
    assert verdicts == [Verdict.EMPTY]


def test_a_table_that_may_not_be_read_is_not_called_empty(bank: Target) -> None:
    execute(
        bank,
        """
        create table bank.vault (id bigint); create view bank.front as select id from bank.vault where id > 0;
        create role peeper login; grant usage on schema bank to peeper; grant select on bank.wallets to peeper
        """,
    )
    try:
        found = findings(Target(bank.url.set(username="peeper")), files(x="select 1 as one from bank.vault where id < 0"))
    finally:
        execute(bank, "drop owned by peeper; drop role peeper")
    assert (found["x"].verdict, "permission denied" in found["x"].reason) == (Verdict.UNKNOWN, True)


def test_a_sequence_is_a_relation(database: Target) -> None:
    execute(
        database,
        """
        create sequence numbers; select setval('numbers', 3);
        create table invoices (number bigint); insert into invoices values (1), (4)
        """,
    )
    query = "select max(number) as last, (select last_value from numbers) as counter from invoices " \
        "having max(number) > (select last_value from numbers)"  # fmt: skip
    assert list(only(database, query).rows) == [{"last": 4, "counter": 3}]
    assert only(database, "select last_value from numbers where last_value < 0").verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    "query",
    [
        "select id, 1 / 0 as share from bank.wallets where id = 1",
        "select id, 1 / (balance - 100) as share from bank.wallets where id = 1",
        "select id, 1 / (balance - 100) as share from bank.wallets where id = 1 order by balance limit 5",
        "select id, 1 / (id - 40) as share from bank.wallets where balance > 0 order by id",
        "select id, share from bank.shares where id = 1",
        "select wallets.id, wallets.ratio from bank.wallets where id = 1",
        "select w.id, max(1 / (e.amount - 40)) from bank.wallets w left join bank.entries e on e.wallet_id = w.id "
        "group by w.id having w.balance <> sum(e.amount)",
        "select id, max(1 / (balance - 100)) as share from bank.wallets group by id having count(*) > 1",
        "select 1 / 0 as share from bank.wallets join bank.entries on wallet_id = balance",
    ],
    ids=["folded", "row", "ordered", "a row that is not shown", "view", "function of the row", "balance", "unique", "none"],
)
def test_a_query_that_fails_is_unknown_however_it_is_planned(bank: Target, query: str) -> None:
    """As in psql, which shows an error and no row: a column that only explains is a part of the query."""
    execute(
        bank,
        """
        create view bank.shares as select id, 1 / (balance - 100) as share from bank.wallets;
        create function public.ratio(bank.wallets) returns bigint stable language sql as 'select 1 / ($1.id - 1)'
        """,
    )
    planned, exact = only(bank, query), only(bank, query, is_exact=True)
    assert (planned.verdict, planned.reason.split("\n")[0][-16:]) == (Verdict.UNKNOWN, "division by zero")
    assert (exact.verdict, exact.reason) == (planned.verdict, planned.reason)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("values (1), (2)", [{"column1": 1}, {"column1": 2}]),
        ("with a as (select 3 as id) values (3)", [{"column1": 3}]),
        ("table admins", [{"id": 7}]),
        ("with a as (select id from admins where id > 9) table a", []),
    ],
)
def test_what_is_a_select_to_the_server_is_one(database: Target, query: str, rows: list[dict[str, int]]) -> None:
    execute(database, "create table admins (id bigint); insert into admins values (7)")
    for options in ({}, {"is_exact": True}):
        found = only(database, query, **options)
        assert (found.verdict, list(found.rows)) == (Verdict.VIOLATED if rows else Verdict.HOLDS, rows), found.reason


UNPARSED = [
    "select id from (values (5), (1_500)) as a (id) where id > 1_000",
    "select a.at at local as here from (select now() as at) as a",
    "select id from (values (1)) as a (id) order by id using >",
    "select u.id from (values (1)) as a (id) join (values (1)) as b (id) using (id) as u",
    "select " + "(" * 1500 + "1" + ")" * 1500 + " as deep",
]


@pytest.mark.parametrize("query", UNPARSED, ids=["1_000", "at local", "using >", "as u", "1,500 parentheses"])
def test_what_our_parser_does_not_know_is_asked_as_it_stands(database: Target, query: str) -> None:
    asked = [file(query, "bank/x"), file("select id from (values (1)) as a (id) where id > 1", "bank/y")]
    plan = plan_audit(database, asked, AuditSettings())
    assert plan.steps[0].why == "not known to the parser: asked as it stands"
    found = findings(database, asked)
    assert (found["x"].verdict, found["x"].violation_count, len(found["x"].rows)) == (Verdict.VIOLATED, 1, 1)
    assert found["y"].verdict is Verdict.HOLDS


def test_what_our_parser_does_not_know_may_hold_have_parameters_and_a_place_for_its_errors(database: Target) -> None:
    header = "-- parameter: least integer = 10\n"
    query = "select id\nfrom (values (5)) as a (id)\nwhere id > :least + 1_000\n;\n"
    found = findings(
        database, [file(query, "bank/fine", header), file(query.replace("id >", "di >"), "bank/wrong", header)]
    )
    assert found["fine"].verdict is Verdict.HOLDS
    assert found["wrong"].reason == (
        'invariants/bank/wrong.sql:5: column "di" does not exist\n  5 | where di > :least + 1_000\n            ^'
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("with gone as (delete from bank.wallets where id > 1_000 returning id) select id from gone", "data-modifying"),
        ("select id into bank.copy from bank.wallets where id > 1_000", "INTO"),
        ("select id from bank.wallets where id > 1_000 for update", "read-only transaction"),
    ],
)
def test_a_write_that_our_parser_does_not_know_is_refused_by_the_server(bank: Target, query: str, said: str) -> None:
    found = only(bank, query)
    assert (found.verdict, said in found.reason) == (Verdict.UNKNOWN, True), found.reason


def test_what_cannot_be_written_for_sqlite_is_that_invariants_unknown(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path}/a.db")
    with target.connect_sqlite() as connection:
        connection.execute("create table a (id integer)")
    connection.close()
    none = "select count(*) as n from a having count(*) = 0"
    found = findings(target, files(x="select id from a where id > 1_000", y=none))
    assert (found["x"].verdict, found["x"].reason[:15]) == (Verdict.UNKNOWN, "not for SQLite:")
    assert (found["y"].verdict, list(found["y"].rows)) == (Verdict.VIOLATED, [{"n": 0}])


def test_an_error_of_ours_in_planning_one_leaves_it_to_its_query(bank: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    real = row_check.find_row_check

    def fail_on_wallets(text: str, *arguments: object, **options: object) -> object:
        if "balance < 0" in text:
            raise RecursionError
        return real(text, *arguments, **options)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(planner, "find_row_check", fail_on_wallets)
    found = findings(bank, files(negative=NOT_NEGATIVE, rich="select id from bank.wallets where balance > 900"))
    assert (found["negative"].verdict, found["negative"].method) == (Verdict.HOLDS, "query")
    assert (found["rich"].verdict, found["rich"].method) == (Verdict.HOLDS, "scan")


def test_an_error_of_ours_in_asking_one_is_its_unknown_and_the_others_are_judged(
    bank: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = PostgresqlSession.count

    def fail(session: PostgresqlSession, text: str, *arguments: object, **options: object) -> object:
        if "limit 7" in text:
            raise MemoryError("no more")
        return real(session, text, *arguments, **options)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(PostgresqlSession, "count", fail)
    found = findings(bank, files(bad="select id from bank.wallets order by id limit 7", negative=NOT_NEGATIVE))
    assert (found["bad"].verdict, found["bad"].reason) == (
        Verdict.UNKNOWN, "an error of integrity's own: MemoryError: no more",
    )  # fmt: skip
    assert found["negative"].verdict is Verdict.HOLDS


def test_a_locked_table_makes_its_own_invariants_unknown(bank: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = audit_settings
    monkeypatch.setattr(
        snapshot_module, "audit_settings", lambda timeout_s: {**settings(timeout_s), "lock_timeout": "500ms"}
    )
    execute(bank, "create table bank.calm (id bigint unique); insert into bank.calm values (1)")
    with bank.connect() as connection, connection.transaction():
        connection.execute("lock table bank.wallets in access exclusive mode")
        found = findings(bank, files(negative=NOT_NEGATIVE, calm="select id from bank.calm where id < 0"))
    assert (found["negative"].verdict, "lock timeout" in found["negative"].reason) == (Verdict.UNKNOWN, True)
    assert found["calm"].verdict is Verdict.HOLDS


def test_a_locked_table_behind_a_view_makes_what_reads_the_view_unknown_and_nothing_else(
    bank: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = audit_settings
    monkeypatch.setattr(
        snapshot_module, "audit_settings", lambda timeout_s: {**settings(timeout_s), "lock_timeout": "500ms"}
    )
    execute(bank, "create table bank.calls (id bigint); create view bank.asked as select id, now() as at from bank.calls")
    with bank.connect() as connection, connection.transaction():
        connection.execute("lock table bank.calls in access exclusive mode")
        found = findings(bank, files(asked="select id from bank.asked where id < 0", negative=NOT_NEGATIVE))
    assert (found["asked"].verdict, "lock timeout" in found["asked"].reason) == (Verdict.UNKNOWN, True)
    assert found["negative"].verdict is Verdict.HOLDS


def test_a_lock_is_waited_for_in_full_once_and_not_in_each_invariant(bank: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = audit_settings
    monkeypatch.setattr(
        snapshot_module, "audit_settings", lambda timeout_s: {**settings(timeout_s), "lock_timeout": "600ms"}
    )
    limit = "select current_setting('lock_timeout') as limit"
    with bank.connect() as connection, connection.transaction():
        connection.execute("lock table bank.wallets in access exclusive mode")
        with bank.open_snapshot(connections=1, timeout_s=300) as snapshot:
            before = snapshot.sessions[0].read(limit)
            with pytest.raises(QueryFailed, match="lock timeout"):
                snapshot.sessions[0].count("select id from bank.wallets")
            after = snapshot.sessions[0].read(limit)
    assert (before, after) == ([{"limit": "600ms"}], [{"limit": "500ms"}])


def own(folder: Path) -> Project:
    (folder / "invariants").mkdir()
    return Project(folder, Settings())


def judged(target: Target, project: Project) -> dict[str, InvariantVerdict]:
    files = [file for file in load_invariants(project).values() if file.is_own]
    return {e.finding.name: e.finding for e in audit(target, files, AuditSettings()) if isinstance(e, InvariantJudged)}


def test_a_file_that_cannot_be_read_is_one_unknown_with_its_reason(database: Target, tmp_path: Path) -> None:
    project = own(tmp_path)
    folder = tmp_path / "invariants"
    (folder / "fine.sql").write_text("-- title: t\nselect 1 as one where false\n")
    (folder / "latin.sql").write_bytes(b"-- title: caf\xe9\nselect 1\n")
    (folder / "long.sql").write_text("-- title: t\nselect 1 as one\n" + "-- more\n" * 200_000)
    (folder / "zero.sql").symlink_to("/dev/zero")
    (folder / "gone.sql").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.sql")
    found = judged(database, project)
    assert {name: finding.verdict for name, finding in found.items()} == {
        "fine": Verdict.HOLDS, **dict.fromkeys(("gone", "latin", "long", "pipe", "zero"), Verdict.UNKNOWN),
    }  # fmt: skip
    assert {name: finding.reason.rpartition(": ")[2] for name, finding in found.items() if finding.reason} == {
        "gone": "No such file or directory",
        "latin": "not UTF-8",
        "long": "longer than 1,000,000 bytes",
        "pipe": "not a regular file",
        "zero": "not a regular file",
    }


def test_a_name_that_is_no_utf_8_reaches_every_report(database: Target, tmp_path: Path) -> None:
    project = own(tmp_path)
    path = Path(os.fsdecode(os.fsencode(tmp_path / "invariants") + b"/caf\xe9.sql"))
    path.write_text("-- title: t\nselect 1 as one\n")
    report = collect(audit(database, [f for f in load_invariants(project).values() if f.is_own], AuditSettings()))
    assert '"caf\N{REPLACEMENT CHARACTER}"' in render_json(report)
