"""`integrity validate`, `list` and `explain` as a user calls them: verdicts, formats, exit codes, and errors that help."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from integrity.cli.main import main
from integrity.database.namespace import inspect_database
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system

BALANCE = "ghostpass/balance-equals-entries"


@dataclass
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder that is the project."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def venue(database: Target) -> Target:
    """A small consistent world of ghostpass."""
    seed_system(
        database, inspect_database(database), GHOSTPASS, sizes={"wallets": 40}, seed=1, mode=Mode.NEW,
    )  # fmt: skip
    return database


def execute(target: Target, statements: str) -> None:
    with target.connect() as connection:
        connection.execute(statements)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / "invariants" / f"{name}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_consistent_world_holds_and_exits_with_0(run: Run, venue: Target) -> None:
    ran = run("validate", "--database", venue.text)
    assert ran.code == 0, ran.out
    assert ran.out.endswith(" invariants hold.\n")
    assert "violated" not in ran.out
    assert "unknown" not in ran.out


def test_a_violation_is_shown_with_rows_hint_and_exit_code_1(run: Run, venue: Target) -> None:
    execute(venue, "update ghostpass.wallets set balance_minor = balance_minor + 5 where id in (3, 4)")
    ran = run("validate", "--database", venue.text, "--limit-evidence", "1")
    assert ran.code == 1
    assert f"violated  {BALANCE}  error  2 rows\n" in ran.out
    assert "  the first 1 of 2:\n" in ran.out
    assert "  why it matters: " in ran.out
    assert "  look for: " in ran.out
    assert ran.out.splitlines()[-1].endswith(f"invariants violated: {BALANCE}.")


def test_select_takes_names_and_patterns(run: Run, venue: Target) -> None:
    ran = run(
        "validate", "--database", venue.text, "--select", "balance-*", "--select", "ghostpass/sale-is-logged", "--json"
    )
    assert [entry["name"] for entry in json.loads(ran.out)["invariants"]] == [
        BALANCE, "ghostpass/balance-not-negative", "ghostpass/sale-is-logged",
    ]  # fmt: skip


def test_an_unknown_selection_names_what_could_be_meant(run: Run, venue: Target) -> None:
    ran = run("validate", "--database", venue.text, "--select", "ghostpass/balance-not-negativ")
    assert (ran.code, ran.out, ran.err.split(" or ")[0]) == (
        2,
        "",
        "integrity: no invariant fits 'ghostpass/balance-not-negativ'\n"
        "  hint: Perhaps you meant ghostpass/balance-not-negative",
    )


def test_junit_and_markdown_can_be_read_by_others(run: Run, venue: Target, tmp_path: Path) -> None:
    execute(venue, "update ghostpass.wallets set balance_minor = balance_minor + 5 where id = 3")
    ran = run("validate", "--database", venue.text, "--format", "junit", "--output", "report.xml", "--select", BALANCE)
    suites = ElementTree.fromstring((tmp_path / "report.xml").read_text())  # noqa: S314  # our own output
    assert [case.get("name") for case in suites.iter("testcase")] == ["balance-equals-entries"]
    assert (ran.code, ran.out) == (1, f"1 of 1 invariant violated: {BALANCE}.\n")
    markdown = run("validate", "--database", venue.text, "--format", "markdown", "--select", BALANCE)
    assert "| violated | ghostpass/balance-equals-entries | 1    | query, as fingerprints differ |" in markdown.out


def test_a_plan_is_shown_and_nothing_is_judged(run: Run, venue: Target) -> None:
    execute(venue, "update ghostpass.wallets set balance_minor = balance_minor + 5 where id = 3")
    ran = run("validate", "--database", venue.text, "--plan", "--select", BALANCE, "--select", "entry-number-unique")
    assert ran.code == 0
    assert "fingerprint" in ran.out
    assert "unique index scans_one_per_entry_number" in ran.out
    assert "ghostpass.entries as audited" in ran.out


def test_exact_asks_without_fingerprints(run: Run, venue: Target) -> None:
    ran = run("validate", "--database", venue.text, "--exact", "--json")
    assert "fingerprint" not in {entry["method"] for entry in json.loads(ran.out)["invariants"]}
    assert ran.code == 0


def test_a_projects_own_invariants_are_judged_on_any_database(run: Run, database: Target, tmp_path: Path) -> None:
    execute(database, "create table accounts (id bigint, balance bigint); insert into accounts values (1, -5)")
    write(tmp_path, "accounts/positive", "-- title: no debt\nselect id, balance from accounts where balance < 0\n")
    ran = run("validate", "--database", database.text)
    assert ran.code == 1
    assert "violated  accounts/positive  error  1 row" in ran.out
    write(tmp_path, "accounts/positive", "-- title: t\n-- severity: warning\nselect id from accounts where balance < 0\n")
    warned = run("validate", "--database", database.text)
    assert (warned.code, warned.out.splitlines()[-1]) == (
        0, "1 of 1 invariant violated (warnings only): accounts/positive.",
    )  # fmt: skip


def test_what_could_not_be_judged_exits_with_3(run: Run, database: Target, tmp_path: Path) -> None:
    execute(database, "create table accounts (id bigint); insert into accounts values (1)")
    write(tmp_path, "gone", "-- title: t\nselect id from acounts where id < 0\n")
    ran = run("validate", "--database", database.text)
    assert ran.code == 3
    assert "unknown  gone\n  invariants/gone.sql:2: there is no table acounts\n" in ran.out
    assert ran.out.splitlines()[-1] == "1 of 1 invariant unknown: gone."


def test_a_database_of_nobody_we_know_is_an_error(run: Run, database: Target) -> None:
    ran = run("validate", "--database", database.text)
    assert ran.code == 2
    assert "holds none of the systems (ghostpass" in ran.err
    assert f"`integrity seed --database '{database.text}'` makes one" in ran.err


def test_a_project_with_systems_and_no_invariants_is_told_how_to_write_one(
    run: Run, database: Target, tmp_path: Path
) -> None:
    execute(database, "create table cards (id int primary key)")
    (tmp_path / "integrity.toml").write_text('[project]\nname = "ops"\n[systems]\ntill = "till:TILL"\n')
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations" / "redeem.sql").write_text("update cards set id = 1;\n")
    ran = run("validate", "--database", database.text)
    assert (ran.code, "no invariants yet about ops, till" in ran.err, "ghostpass" in ran.err) == (2, True, False), ran.err
    assert "Write one: integrity new invariant --from" in ran.err


def test_without_a_database_it_says_that_it_audits_the_embedded_one_and_that_it_is_empty(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: EmbeddedServer, database: Target
) -> None:
    monkeypatch.setattr(EmbeddedServer, "start", lambda _: database)  # another server would take seconds to start
    place = f"no database is named, and the embedded one of this folder ({tmp_path}/.integrity) is empty"
    ran = run("validate")
    assert ran.code == 2
    assert f"integrity: nothing to judge: {place}\n" in ran.err
    assert ran.err.count(place) == 1
    write(tmp_path, "gone", "-- title: t\nselect id from acounts where id < 0\n")
    ran = run("validate")
    assert (ran.code, ran.err) == (3, f"{place}: `integrity seed` fills it, --database URL names another\n")
    assert f"unknown  gone\n  invariants/gone.sql:2: there is no table acounts: {place}\n" in ran.out


def test_a_reader_without_rights_on_our_own_schema_gets_row_checks_judged_and_call_level_ones_unknown(
    run: Run, venue: Target
) -> None:
    execute(
        venue,
        "create role clerk login; grant usage on schema ghostpass to clerk; "
        "grant select on all tables in schema ghostpass to clerk",
    )
    try:
        reader = Target(venue.url.set(username="clerk"))
        ran = run("validate", "--database", reader.text, "--json")
    finally:
        execute(venue, "drop owned by clerk; drop role clerk")
    found = {one["name"]: one for one in json.loads(ran.out)["invariants"]}
    unknown = {name for name, one in found.items() if one["verdict"] == "unknown"}
    assert ran.code == 3, ran.err
    assert found[BALANCE]["verdict"] == "holds"
    assert "ghostpass/acknowledged-call-is-stored" in unknown
    assert {"permission denied" in found[name]["reason"] for name in unknown} == {True}
    assert len(unknown) < len(found) / 2


def test_an_own_folder_that_is_named_like_a_system_and_a_suffix_in_capitals_are_judged(
    run: Run, database: Target, tmp_path: Path
) -> None:
    execute(database, "create table accounts (id bigint); insert into accounts values (1)")
    write(tmp_path, "ghostpass/own", "-- title: t\nselect id from accounts\n")
    (tmp_path / "invariants" / "LOUD.SQL").write_text("-- title: t\nselect id from accounts\n")
    ran = run("validate", "--database", database.text)
    assert (ran.code, ran.out.splitlines()[-1]) == (1, "2 of 2 invariants violated: LOUD, ghostpass/own.")


def test_an_invariant_that_has_nothing_to_judge_fails_only_where_that_is_asked_for(
    run: Run, database: Target, tmp_path: Path
) -> None:
    execute(
        database, "create table refunds (id bigint); create table accounts (id bigint); insert into accounts values (1)"
    )
    write(tmp_path, "refunds", "-- title: t\nselect id from refunds where id < 0\n")
    arguments = ("validate", "--database", database.text)
    ran = run(*arguments)
    assert (ran.code, ran.out.splitlines()[-1]) == (3, "The only invariant had nothing to judge: the tables are empty.")
    write(tmp_path, "accounts", "-- title: t\nselect id from accounts where id < 0\n")
    ran = run(*arguments)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "1 holds, 1 had nothing to judge.")
    assert run(*arguments, "--fail-on-empty").code == 3
    (tmp_path / "integrity.toml").write_text('[audit]\nempty = "unknown"\n')
    assert run(*arguments).code == 3


def test_a_broken_file_is_listed_and_explained_as_broken(run: Run, tmp_path: Path) -> None:
    write(tmp_path, "mine", "-- title: t\n-- sevrity: warning\nselect 1 as one\n")
    listed = run("list", "--select", "mine")
    assert (listed.code, listed.out.splitlines()[-1].split("  ")[-1].strip()) == (
        0, "broken: invariants/mine.sql:2: unknown header key 'sevrity'",
    )  # fmt: skip
    explained = run("explain", "mine")
    assert explained.code == 0
    assert "Perhaps you meant severity." in explained.out
    assert json.loads(run("explain", "mine", "--json").out)["fault"].startswith("invariants/mine.sql:2: unknown header key")


def test_a_system_without_its_tables_is_unknown_when_it_is_named(run: Run, database: Target) -> None:
    ran = run("validate", "--database", database.text, "--system", "ghostpass", "--select", BALANCE)
    assert ran.code == 3
    assert "there is no table ghostpass.entries, nor ghostpass.wallets" in ran.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- title: t\nselect a b c\n", 'invariants/x.sql:2: syntax error at or near "c"\n    2 | select a b c\n'),
        ("-- title: t\nselect 1; select 2\n", "invariants/x.sql:2: more than one statement\n"),
        ("-- title: t\ndelete from a\n", "invariants/x.sql:2: not one read-only select: 'delete'\n"),
        ("-- title: t\nselect 1 where :a = 1\n", "invariants/x.sql:2: parameter 'a' is not declared\n"),
        ("-- title: t\n-- parameter: a text\nselect :a\n", "parameter 'a' has no default\n"),
        ("select 1\n", "invariants/x.sql:1: the header has no title\n"),
    ],
    ids=["syntax", "two statements", "write", "undeclared", "no default", "no title"],
)
def test_a_file_that_cannot_be_used_is_one_unknown_and_costs_the_others_nothing(
    run: Run, venue: Target, tmp_path: Path, text: str, message: str
) -> None:
    write(tmp_path, "x", text)
    ran = run("validate", "--database", venue.text, "--select", "x", "--select", BALANCE)
    assert ran.code == 3, ran.err
    assert message in ran.out
    assert ran.out.splitlines()[-1] == "1 of 2 invariants unknown: x."
    assert run("validate", "--database", venue.text, "--select", BALANCE).code == 0


def test_of_two_invariants_of_one_name_the_second_is_listed_under_its_path_and_unknown(
    run: Run, venue: Target, tmp_path: Path
) -> None:
    write(tmp_path, BALANCE, "-- title: t\nselect 1 as one\n")
    ran = run("validate", "--database", venue.text, "--select", "*balance-equals-entries*")
    assert ran.code == 3
    assert f"a second invariant of the name '{BALANCE}'" in ran.out
    assert ran.out.splitlines()[-1] == f"1 of 2 invariants unknown: invariants/{BALANCE}.sql."


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format", "yaml"],
        ["--limit-evidence", "-1"],
        ["--limit-evidence", "10001"],
        ["--timeout", "0"],
        ["--connections", "0"],
        ["--connections", "1000"],
        ["--project", "no-such-folder"],
        ["--system", "ghostpas"],
        ["--run", "no-such-run"],
        ["--run", "../secrets"],
        ["--output", "/dev/null/report.txt"],
        ["--format", "text", "--format", "junit"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(run: Run, venue: Target, arguments: list[str]) -> None:
    ran = run("validate", "--database", venue.text, *arguments)
    assert ran.code == 2
    assert arguments[0].strip("-").split("-")[0] in ran.err or arguments[1] in ran.err
    assert "Traceback" not in ran.err


def test_a_wrong_password_is_not_shown(run: Run, database: Target) -> None:
    url = Target(database.url.set(username="nobody", password="hunter2")).text
    ran = run("validate", "--database", url)
    assert ran.code == 2
    assert "cannot connect" in ran.err
    assert "hunter2" not in ran.err + ran.out


def test_verdicts_are_kept_in_the_folder_of_the_run(run: Run, venue: Target, tmp_path: Path) -> None:
    folders = [tmp_path / ".integrity" / "runs" / name for name in ("1-old", "2-new", "3-elsewhere")]
    for number, folder in enumerate(folders[:2]):
        folder.mkdir(parents=True)
        execute(
            venue,
            "insert into integrity.runs (run_id, system, profile, seed, started_at, ended_at, state) "
            f"values ('{folder.name}', 'ghostpass', 'smoke', 1, now() + interval '{number} s', now(), 'finished')",
        )
    folders[2].mkdir()
    ran = run("validate", "--database", venue.text, "--select", BALANCE, "--json")
    assert json.loads((folders[1] / "verdicts.json").read_text()) == json.loads(ran.out)
    assert not (folders[0] / "verdicts.json").exists()
    run("validate", "--database", venue.text, "--select", BALANCE, "--run", "1-old")
    assert (folders[0] / "verdicts.json").exists()
    assert not (folders[2] / "verdicts.json").exists()


def test_run_narrows_the_invariants_over_calls_to_that_run(run: Run, venue: Target, tmp_path: Path) -> None:
    for name in ("1-good", "2-bad"):
        (tmp_path / ".integrity" / "runs" / name).mkdir(parents=True)
        execute(
            venue,
            "insert into integrity.runs (run_id, system, profile, seed, started_at, ended_at, state) "
            f"values ('{name}', 'ghostpass', 'smoke', 1, '2001-01-01', '2001-01-02', 'finished')",
        )
    execute(
        venue,
        "insert into integrity.calls (run_id, operation_id, operation, arguments, client, intended_at, invoked_at, "
        "returned_at, outcome, reply, error, attempts) select '2-bad', gen_random_uuid(), 'sell', '{}', 1, now(), now(), "
        "now(), 'ok', '{}', '', 1",
    )
    arguments = ("validate", "--database", venue.text, "--select", "acknowledged-call-is-stored")
    bad = run(*arguments)
    assert bad.code == 1
    assert "calls of these operations:" in bad.out
    assert run(*arguments, "--run", "2-bad").code == 1
    assert run(*arguments, "--run", "1-good").code == 0


def test_an_interrupted_audit_ends_its_queries_and_says_so(venue: Target, tmp_path: Path) -> None:
    """Ctrl-C while a query runs: exit code 130, no traceback, and nothing left running on the server."""
    write(tmp_path, "slow", "-- title: t\nselect id from ghostpass.wallets where pg_sleep(600) is null limit 1\n")
    (tmp_path / "integrity.toml").write_text('[audit]\nfunctions = ["pg_catalog.pg_sleep"]\n')
    command = [sys.executable, "-m", "integrity", "validate", "--all", "--database", venue.text]
    running = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
    with (
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        venue.connect() as connection,
    ):
        while connection.execute(running).fetchone() != (1,):
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err.strip()) == (130, "", "integrity: interrupted")
        assert connection.execute(running).fetchone() == (0,)


def test_list_shows_the_catalogue_for_people_and_programs(run: Run, tmp_path: Path) -> None:
    write(
        tmp_path, "mine/x", "-- title: mine\n-- parameter: at timestamptz = now - 15 minutes\nselect 1 where :at is null\n"
    )
    table = run("list", "--all")
    assert table.code == 0
    assert "ghostpass/balance-equals-entries" in table.out
    only = json.loads(run("list", "--select", "mine/*", "--json").out)["invariants"]
    assert [(entry["name"], entry["title"], entry["parameters"][0]["default"]) for entry in only] == [
        ("mine/x", "mine", "now - 15 minutes")
    ]
    assert "mine/x" not in run("list", "--system", "ghostpass").out
    assert run("list", "--system", "gostpass").code == 2


def test_a_project_with_invariants_of_its_own_lists_and_judges_those(run: Run, venue: Target, tmp_path: Path) -> None:
    write(tmp_path, "mine/x", "-- title: mine\nselect id from ghostpass.wallets where id is null\n")
    listed = run("list")
    assert ("mine/x" in listed.out, "ghostpass/" in listed.out) == (True, False)
    assert "--all lists them" in listed.err
    judged = run("validate", "--database", venue.text)
    assert judged.out.endswith("The only invariant holds.\n")
    assert judged.err == "the project's own invariants are judged; --all judges those of ghostpass, too\n"
    for words in (("--all",), ("--system", "ghostpass")):
        assert BALANCE in run("list", *words).out
        assert BALANCE in run("validate", "--verbose", "--database", venue.text, *words).out


def test_explain_shows_one_invariant_with_its_query(run: Run) -> None:
    ran = run("explain", "ghostpass/balance-equals-entries")
    assert ran.code == 0
    assert ran.out.startswith("ghostpass/balance-equals-entries\n  a wallet's balance equals the sum of its entries\n")
    assert "having wallets.balance_minor is distinct from coalesce(sum(entries.amount_minor), 0)" in ran.out
    assert json.loads(run("explain", BALANCE, "--json").out)["query"].startswith("select")
    wrong = run("explain", "ghostpass/balance-equals-entires")
    assert (wrong.code, "Perhaps you meant ghostpass/balance-equals-entries" in wrong.err) == (2, True)


def test_sqlite_is_validated_too(run: Run, tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    seed_system(target, inspect_database(target), GHOSTPASS, sizes={"wallets": 30}, seed=1, mode=Mode.NEW)
    ran = run("validate", "--database", target.text)
    assert ran.code == 0, ran.out
    with target.connect_sqlite(("ghostpass",)) as connection:
        connection.execute("update ghostpass.wallets set balance_minor = balance_minor + 1 where id = 2")
    connection.close()
    broken = json.loads(run("validate", "--database", target.text, "--json").out)
    violated = [
        (entry["name"], entry["rows"][0]["wallet_id"]) for entry in broken["invariants"] if entry["violation_count"]
    ]
    assert violated == [(BALANCE, 2)]


def test_an_sqlite_file_that_is_not_there_is_an_error(run: Run, tmp_path: Path) -> None:
    ran = run("validate", "--database", f"sqlite:///{tmp_path}/gone.db")
    assert ran.code == 2
    assert "Traceback" not in ran.err
    assert list(tmp_path.iterdir()) == []  # and asking made none
