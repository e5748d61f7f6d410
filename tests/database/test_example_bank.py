"""The bank of examples/bank, used as whoever copies its folder would: SQL alone, no Python, no model of the tables."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.embedded.binaries import candidate_folders
from integrity.engines.target import Target

EXAMPLE = Path(__file__).parents[2] / "examples" / "bank"
CALL = {"account_id": "1", "payer_id": "1", "payee_id": "2", "amount_minor": "30", "operation_id": "7" * 32}

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command in a copy of the folder, its tables made by its own files; gives its code and what it printed."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    psql(database, "-f", "schema.sql", "-f", "data.sql")

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert "error of integrity's own" not in captured.err
        assert isinstance(ended.value.code, int)
        return ended.value.code, f"{captured.err}{captured.out}"

    return run


def psql(database: Target, *words: str) -> str:
    """Return what psql says, which stops at the first error."""
    program = next(each.folder / "psql" for each in candidate_folders(os.environ))  # a fresh machine has no other
    command = [str(program), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", *words, database.text]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_bug_is_raced_replayed_and_exported_and_the_sound_twin_is_silent_in_every_order(
    integrity: Command, tmp_path: Path
) -> None:
    code, raced = integrity("race", "withdraw", "withdraw", "--pytest", "test_withdraw.py")
    assert code == 1
    assert "violated  balance-equals-movements" in raced
    raced = " ".join(raced.split())
    assert "row lock withdraw: select balance_minor from accounts where id = :account_id for update: prevented" in raced
    code, replayed = integrity("replay", ".integrity/races/bank-withdraw-withdraw.json", "--times", "2")
    assert (code, "came back 2 of 2 times" in replayed) == (1, True)
    environment = {**os.environ, "DATABASE_URL": os.environ["INTEGRITY_DATABASE_URL"]}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_withdraw.py"]
    exported = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (exported.returncode, "1 failed" in exported.stdout) == (1, True), exported.stdout
    code, sound = integrity("race", "withdraw_locked", "withdraw_locked", "--json")
    (group,) = json.loads(sound[sound.index("{") :])["groups"]
    assert (code, group["verdict"], group["choices"][0]["is_exhaustive"]) == (0, "holds", True)


def test_its_protection_is_needed(integrity: Command) -> None:
    code, told = integrity("race", "withdraw_locked", "--mutate")
    assert (code, "withdraw_locked: for update\n  needed" in told) == (0, True)


def test_calls_that_are_racy_as_they_are_tell_of_no_protection(integrity: Command) -> None:
    code, told = integrity("race", "withdraw", "--mutate")
    assert (code, "withdraw + withdraw: racy with all protections in place" in told, "needed" in told) == (2, True, False)
    code, told = integrity("race", "withdraw", "withdraw_locked", "--mutate", "--json")
    mutated = json.loads(told[told.index("{") :])
    pairs = [each["operations"] for each in mutated["unguarded"]]
    assert pairs == [["withdraw", "withdraw"], ["withdraw", "withdraw_locked"]]
    words = {each["protection"]: each["verdict"] for each in mutated["mutations"]}
    assert (code, words) == (3, {
        "withdraw_locked: for update": "needed",
        "accounts: accounts_balance_not_negative": "vacuous",
        "movements: movements_once": "vacuous",
    })  # fmt: skip


def test_what_a_run_breaks_is_found_and_brought_back_and_its_calls_are_judged(integrity: Command, database: Target) -> None:
    code, told = integrity("validate")
    assert (code, "The only invariant holds." in told) == (0, True)
    assert "call-level checks: none declared for transfer" in told
    assert "no run of bank is recorded: 3 invariants about runs alone are left out" in told
    name = database.url.database or ""
    assert integrity("run", "hammer", "--duration", "2s", "--yes-this-is-a-test-database", name)[0] == 0
    code, told = integrity("validate", "--json")
    verdicts = {each["name"]: each["verdict"] for each in json.loads(told[told.index("{") :])["invariants"]}
    assert code == 1
    assert verdicts == {
        "balance-equals-movements": "violated",
        "bank/acknowledged-call-is-stored": "holds",
        "bank/call-at-most-once": "holds",
        "bank/failed-call-left-nothing": "holds",
    }
    code, told = integrity("reproduce", "balance-equals-movements")
    assert (code, "replay: integrity replay .integrity/races/bank-" in told) == (1, True)


def test_what_a_run_wrote_beside_seeded_rows_goes_with_them_and_what_others_wrote_stays(
    integrity: Command, database: Target
) -> None:
    declared = ("--yes-this-is-a-test-database", database.url.database or "")
    seed = ("seed", "--schema", "public", "--rows", "accounts=20", *declared)
    counted = "select (select count(*) from accounts), (select count(*) from movements)"
    psql(database, "-c", "truncate accounts, movements")
    assert integrity(*seed)[0] == 0
    assert integrity("run", "hammer", "--duration", "2s", *declared)[0] == 0
    assert integrity(*seed, "--replace")[0] == 0
    assert psql(database, "-c", f"{counted}, (select count(*) from integrity.runs)").split() == ["20|40|0"]
    assert integrity("run", "hammer", "--duration", "2s", *declared)[0] == 0
    theirs = "insert into movements (account_id, amount_minor, operation_id) select 3, 1, gen_random_uuid()"
    psql(database, "-c", theirs)
    before = psql(database, "-c", counted)
    code, told = integrity("rollback", "--yes")
    assert (code, "public.movements: 1 row that others added" in told) == (2, True)
    assert "1 row of public.accounts" in told
    assert psql(database, "-c", counted) == before
    psql(database, "-c", "delete from movements where account_id = 3 and amount_minor = 1")
    accounts, movements = map(int, psql(database, "-c", counted).split("|"))
    _, would = integrity("rollback", "--dry-run", "--json")
    assert json.loads(would)["would_empty"] == {"public.accounts": accounts, "public.movements": movements}
    said = f"60 rows that seed made and {movements - 40:,} that runs wrote in 2 tables of public"
    code, told = integrity("rollback", "--yes")
    told = " ".join(told.split())  # long lines are wrapped
    assert (code, f"{said}; these tables themselves stay" in told, f"Removed {said}." in told) == (0, True, True), told
    assert psql(database, "-c", counted).split() == ["0|0"]


BREAKS = {
    "acknowledged-call-is-stored": "delete from movements where operation_id in (select operation_id from a_call)",
    "call-at-most-once": """insert into movements (account_id, amount_minor, operation_id)
        select 41 - account_id, amount_minor, operation_id from movements
        where operation_id in (select operation_id from a_call)""",
    "failed-call-left-nothing": "update integrity.calls set outcome = 'declined' where operation_id in (table a_call)",
    "row-was-asked-for": """insert into movements (account_id, amount_minor, operation_id, made_at)
        select 1, 1, gen_random_uuid(), ended_at - interval '1 ms' from integrity.bank_runs""",
}


def test_each_invariant_about_calls_finds_what_it_is_there_for(integrity: Command, database: Target) -> None:
    """They are made of the lines `-- stores:`; what a transfer moves nobody could tell, so it is left out here."""
    Path("operations/transfer.sql").unlink()
    name = database.url.database or ""
    integrity("run", "smoke", "--duration", "1s", "--yes-this-is-a-test-database", name)
    call = "select operation_id from integrity.bank_calls where operation = 'deposit' and outcome = 'ok' limit 1"
    for invariant, broken in BREAKS.items():
        found = f"bank/{invariant}"
        assert integrity("validate", "--select", found)[0] == 0
        psql(database, "-c", f"create table kept as select * from movements; create temp view a_call as {call}; {broken}")
        code, told = integrity("validate", "--select", found)
        assert (code, f"violated  {found}" in told) == (1, True), told
        mended = "truncate movements; insert into movements overriding system value select * from kept; drop table kept;"
        psql(database, "-c", f"{mended} update integrity.calls set outcome = 'ok' where outcome = 'declined'")


@pytest.mark.parametrize("name", ["deposit", "withdraw", "withdraw_locked", "transfer"])
def test_psql_runs_each_file_as_it_stands(integrity: Command, database: Target, name: str) -> None:
    values = [word for key, value in CALL.items() for word in ("-v", f"{key}={value}")]
    psql(database, *values, "-f", f"operations/{name}.sql")
    moved = psql(
        database, "-c", f"select sum(abs(amount_minor)) from movements where operation_id = '{CALL['operation_id']}'"
    )
    assert moved == ("60\n" if name == "transfer" else "30\n")
    assert integrity("validate", "--select", "balance-equals-movements")[0] == 0


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("-- parameter a: key of acounts", "operations/ask.sql:1: the database has no table acounts"),
        (
            "-- parameter a: key of accounts\n-- row x: accounts(ownr = 'Ada')",
            "ask.sql:2: row 'x': table accounts has no column ownr",
        ),
        ("-- parameter a: key of accounts\n-- row x: accounts(balance_minor = -5)", "accounts_balance_not_negative"),
        (
            "-- parameter a: key of accounts\n-- row x: accounts(balance_minor = 'abc')",
            "ask.sql:2: row 'x': balance_minor = 'abc': invalid input syntax for type bigint: \"abc\"\n"
            "  2 | -- row x: accounts(balance_minor = 'abc')\n" + " " * 41 + "^",
        ),
        (
            "-- parameter a: key of accounts\n-- row x: accounts(balance_minor = nope)",
            "ask.sql:2: row 'x': balance_minor = nope: column \"nope\" does not exist",
        ),
        (
            "-- parameter a: key of accounts\n-- row x: accounts(balance_minor = 1 +)",
            "ask.sql:2: row 'x': balance_minor = 1 +: syntax error at end of input",
        ),
        (
            "-- parameter a: key of (select id from accounts where owner = 'Eve')",
            "no row of the race is a key for a: select id",
        ),
    ],
)
def test_what_a_file_asks_of_tables_that_they_have_not_is_told(integrity: Command, header: str, said: str) -> None:
    Path("operations/ask.sql").write_text(f"{header}\nselect owner from accounts where id = :a;\n")
    code, told = integrity("race", "ask")
    assert (code, said in told) == (2, True), told


def test_an_invariant_that_the_rows_violate_before_any_call_is_not_asked_and_that_is_said(integrity: Command) -> None:
    Path("invariants/rich.sql").write_text(
        "-- title: everybody is rich\nselect id, owner from accounts where balance_minor < 9000\n"
    )
    code, told = integrity("race", "deposit", "--preemptions", "1")
    assert code == 0
    assert "not asked: rich: the rows of the race violate it before any call is made: id=" in told


def test_a_call_that_names_two_keys_of_a_table_names_different_ones_first(integrity: Command) -> None:
    _, told = integrity("race", "transfer", "--preemptions", "0")
    assert "transfer(payer_id=accounts_1, payee_id=accounts_2, amount_minor=500)" in told.partition(";")[0]


def test_a_race_is_played_on_the_rows_of_its_own_operations_and_on_two_of_each_table_it_draws_keys_of(
    integrity: Command,
) -> None:
    Path("operations/withdraw_bare.sql").write_text(
        Path("operations/withdraw.sql")
        .read_text()
        .replace("'Ada', balance_minor = 700", "'Ada', balance_minor = 700, id = 1")
    )
    Path("operations/other.sql").write_text(
        "-- parameter a: key of accounts\n-- row poor: accounts(ownr = 'Eve')\nselect owner from accounts where id = :a;\n"
    )
    code, told = integrity("race", "withdraw_bare", "withdraw_bare", "--json")
    assert code == 1, told
    found = json.loads(told[told.index("{") :])["findings"][0]
    assert sorted(found["keys"]) == ["accounts_1", "accounts_2"]
    assert found["keys"]["accounts_1"] == 1
    assert found["raced"] == ["withdraw_bare"]
    assert integrity("race", "withdraw", "other")[0] == 2  # whose row has a column that is not there
    assert integrity("replay", *(str(path) for path in Path(".integrity/races").glob("*bare*.json")))[0] == 1


def test_a_race_on_a_table_that_can_have_one_row_only_says_so(integrity: Command, database: Target) -> None:
    psql(database, "-c", "create table vault (is_it boolean primary key check (is_it), minor bigint not null default 900)")
    Path("operations/lift.sql").write_text(
        "-- parameter vault: key of vault\n-- row v: vault(is_it = true)\n"
        "update vault set minor = minor - 1 where is_it = :vault;\n"
    )
    code, told = integrity("race", "lift", "--preemptions", "0")
    assert (code, "one row of vault to race on" in told) == (0, True), told


def test_a_statement_that_the_database_refuses_however_it_is_called_is_no_sound_operation(integrity: Command) -> None:
    Path("operations/ask.sql").write_text("select 1 / (count(*) - count(*)) from accounts;\n")
    code, told = integrity("race", "ask")
    told = " ".join(told.split())  # long lines are wrapped
    assert (code, "ask (operations/ask.sql:1) fails however it is called: 22012 division by zero" in told) == (3, True), (
        told
    )
    code, told = integrity("race", "ask", "--schedule", "A")
    assert (code, "AB: no race, and calls fail as they do alone; A was refused with 22012" in told) == (3, True), told


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("updte accounts set owner = 'x';", 'ask.sql:3: syntax error at or near "updte"\n  3 | updte accounts'),
        ("select owner\nfrom accounts where ownr = :'o';", 'ask.sql:4: column "ownr" does not exist'),
        ("select 1 from acounts where owner = :'o';", 'ask.sql:3: relation "acounts" does not exist'),
        (
            "update accounts set account = :'o';",
            'ask.sql:3: column "account" of relation "accounts" does not exist\n'
            "  3 | update accounts set account = :'o';\n                          ^\n  hint: Its columns are: id, owner",
        ),
        ("update accounts set ownr = :'o';", "  hint: Perhaps you meant owner.\n"),
    ],
)
def test_a_statement_that_the_database_does_not_understand_is_told_before_a_call_and_leaves_out_its_operation_alone(
    integrity: Command, database: Target, body: str, said: str
) -> None:
    Path("operations/ask.sql").write_text(f"-- parameter o: text\nselect 1 as one where :'o' = 'x';\n{body}\n")
    code, told = integrity("race", "ask")
    assert (code, said in told) == (2, True), told
    assert "acounts" not in body or "accounts" in told.partition("hint")[2]
    code, told = integrity("race", "withdraw_locked")
    assert (code, "left out" in told) == (0, False), told
    code, told = integrity(
        "run", "smoke", "--duration", "1s", *("--yes-this-is-a-test-database", database.url.database or "")
    )
    assert (code, "ask is left out: operations/ask.sql:" in " ".join(told.split())) == (0, True), told


def test_a_run_in_which_nothing_worked_is_no_pass_and_no_missed_threshold_and_says_why(
    integrity: Command, database: Target
) -> None:
    for file in Path("operations").glob("*.sql"):
        file.unlink()
    text = "-- parameter a: key of accounts\nselect balance_minor / (id - id) from accounts where id = :a;\n"
    Path("operations/ask.sql").write_text(text)
    name = database.url.database or ""
    smoke = ("run", "smoke", "--duration", "300ms", "--seed", "1", "--yes-this-is-a-test-database", name)
    code, told = integrity(*smoke)
    assert code == 3, told
    told = " ".join(told.split())  # long lines are wrapped
    assert re.search(r"No call was answered: [\d,]+ failed. Nothing was measured, and nothing is said of the data.", told)
    assert re.search(r"Most often, [\d,]+ times?: ask: 22012 division by zero", told)
    assert told.endswith(f"next, one call by itself: integrity race bank ask {' '.join(smoke[-2:])}")
    code, told = integrity(*smoke, "--json")
    assert (code, "No call was answered" in told) == (3, True), told


def test_sqlite_is_asked_too(integrity: Command, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "bank.db")) as connection:
        connection.execute("create table accounts (id integer primary key, owner text)")
    Path("operations/ask.sql").write_text("select id from accounts;\nselect id\nfrom acounts;\n")
    Path("operations/fine.sql").write_text("-- parameter a: key of accounts\nselect id from accounts where id = :a;\n")
    code, told = integrity("race", "ask", "--database", f"sqlite:///{tmp_path / 'bank.db'}")
    assert (code, "ask.sql:3: no such table: acounts\n  3 | from acounts;\n           ^" in told) == (2, True), told
    Path("operations/ask.sql").write_text("updte accounts set id = 1;\n")
    code, told = integrity("race", "ask", "--database", f"sqlite:///{tmp_path / 'bank.db'}")
    assert (code, 'ask.sql:1: near "updte": syntax error' in told) == (2, True), told
    for body in (
        "update accounts set ownr = 'x';",
        "insert into accounts (ownr) values ('x');",
        "select a.ownr from accounts a;",
    ):
        Path("operations/ask.sql").write_text(body)
        code, told = integrity("race", "ask", "--database", f"sqlite:///{tmp_path / 'bank.db'}")
        assert (code, "  hint: Perhaps you meant owner.\n" in told) == (2, True), told
    # What a cure prints there can be pasted; PostgreSQL knows no such transaction.
    Path("operations/fine.sql").write_text("-- parameter a: key of accounts\nbegin immediate;\nselect :a;\ncommit;\n")
    code, told = integrity("race", "fine", "--database", f"sqlite:///{tmp_path / 'bank.db'}", "--preemptions", "0")
    assert code == 0, told
    code, told = integrity("race", "fine")
    assert (code, "fine.sql:2: a transaction that begins immediate is SQLite's alone\n" in told) == (2, True), told


def test_what_a_file_makes_itself_is_there_for_it(integrity: Command) -> None:
    Path("operations/ask.sql").write_text(
        "begin;\ncreate temp table mine (n int) on commit drop;\ninsert into mine values (1);\ncommit;\n"
    )
    assert integrity("race", "ask", "--preemptions", "0")[0] == 0
