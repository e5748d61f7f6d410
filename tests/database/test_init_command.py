"""A project of one's own: `init` and `new` write files that fit the database and overwrite nothing."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from tests.database.test_templates import carry_out

ACCOUNTS = (
    "create table accounts (id integer primary key, balance integer not null check (balance >= 0))",
    "insert into accounts values (1, 100), (2, 50)",
)
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in an empty folder; gives its code and what it printed, on stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    return run


@pytest.fixture(params=["postgresql", "sqlite"])
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """A database with a table of accounts, whose project is the current folder."""
    target: Target = (
        request.getfixturevalue("database")
        if request.param == "postgresql"
        else Target.parse(f"sqlite:///{tmp_path / 'bank.db'}")
    )
    carry_out(target, list(ACCOUNTS))
    return target


def test_a_new_project_holds_what_fits_the_database_and_says_what_to_type_next(
    bank: Target, command: Command, tmp_path: Path
) -> None:
    code, out, _ = command("init", "--database", bank.text)
    assert code == 0
    assert "invariants/accounts/no-negative-balance.sql  an invariant: it holds" in out
    assert out.endswith("Type next:\n  integrity validate\n  integrity race withdraw withdraw\n")
    assert len(out.splitlines()) <= 10
    assert command("validate")[0] == 0
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert made - {"bank.db"} >= {
        "integrity.toml",
        ".gitignore",
        ".github/workflows/integrity.yml",
        "invariants/accounts/no-negative-balance.sql",
        "operations/withdraw.sql",
    }


def test_a_first_invariant_that_does_not_hold_is_said_to_be_violated(bank: Target, command: Command) -> None:
    carry_out(
        bank,
        [
            "create table account_entries (id integer primary key, account_id integer references accounts (id),"
            " amount integer)"
        ],
    )
    code, out, _ = command("init", "--database", bank.text)
    assert (code, "balance-equals-entries.sql  an invariant: it is violated by 2 rows" in out) == (0, True)
    assert command("validate", "--select", "accounts/balance-equals-entries")[0] == 1


def test_nothing_that_is_there_is_overwritten(bank: Target, command: Command, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations" / "withdraw.sql").write_text("-- mine\n")
    _, out, _ = command("init", "--database", bank.text)
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert (tmp_path / "operations" / "withdraw.sql").read_text() == "-- mine\n"
    assert out.count("(was there, and is as it was)") == 2
    _, out, _ = command("init", "--database", "sqlite:///another.db")
    assert "integrity.toml (was there, and is as it was)  settings, with the database that they name\n" in out
    code, _, said = command("new", "operation", "withdraw")
    assert (code, "operations/withdraw.sql is there already: nothing was written" in said) == (2, True)


def test_a_password_goes_into_no_file(database: Target, command: Command, tmp_path: Path) -> None:
    from sqlalchemy import make_url

    carry_out(database, list(ACCOUNTS))
    url = make_url(database.text).set(password="s3cret-of-mine").render_as_string(hide_password=False)
    code, out, _ = command("init", "--database", url)
    assert code == 0
    assert "s3cret-of-mine" not in out
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"s3cret-of-mine" in path.read_bytes()]
    assert "${DATABASE_PASSWORD}" in (tmp_path / "integrity.toml").read_text()
    assert "export DATABASE_PASSWORD=" in out


def test_a_folder_without_a_database_becomes_a_project_and_no_server_is_started(command: Command, tmp_path: Path) -> None:
    code, out, _ = command("init", "shop")
    assert code == 0
    assert (tmp_path / "shop" / "integrity.toml").is_file()
    assert not (tmp_path / "shop" / ".integrity").exists()
    assert "There is no database yet" in out


def test_the_same_draft_twice_is_one(bank: Target, command: Command) -> None:
    command("init", "--database", bank.text)
    assert command("new", "operation", "withdraw")[0] == 0


def test_new_files_of_a_table_with_names_in_capitals_and_a_schema_are_right(database: Target, command: Command) -> None:
    carry_out(
        database,
        [
            'create schema "Shop"',
            'create table "Shop"."Wallet" ("walletId" uuid primary key, "Balance" numeric not null, "order" text)',
            """insert into "Shop"."Wallet" values (gen_random_uuid(), -1, 'x')""",
        ],
    )
    database_words = ("--database", database.text)
    code, out, _ = command("new", "invariant", "--from", "no-negative-balance", "--table", "Shop.Wallet", *database_words)
    assert (code, "violated by 1 row" in out) == (0, True)
    assert command("new", "invariant", "bare", "--table", "Wallet", *database_words)[0] == 0
    assert command("new", "query", "one", "--table", "Wallet", *database_words)[0] == 0
    assert command("queries", "run", "one", *database_words)[0] == 0
    code, out, _ = command("validate", *database_words, "--json")
    verdicts = {each["name"]: each["verdict"] for each in json.loads(out)["invariants"]}
    assert verdicts == {"Shop-Wallet/no-negative-balance": "violated", "bare": "holds"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("invariant", "../x", "--table", "accounts"), "'../x' is no name of a file in invariants/"),
        (("invariant", "x", "--table", "acounts"), "Perhaps you meant accounts"),
        (("invariant", "x"), "--table NAME. There are: accounts, cards."),
        (("invariant",), "it has no name"),
        (("invariant", "--from", "no-negativ"), "Perhaps you meant no-negative-balance"),
        (("invariant", "--from", "no-negative-balance", "--set", "balanse=x"), "The words of no-negative-balance are:"),
        (("invariant", "--from", "no-negative-balance", "--set", "balance"), "not WORD=NAME"),
        (("invariant", "--from", "no-negative-balance", "--table", "accounts", "--set", "balance=x"), "id, balance"),
        (("invariant", "--from", "balance-equals-entries", "--table", "accounts"), "--set entries=NAME"),
        (("operation", "pay", "--table", "accounts", "--column", "id"), "'id' is no column of numbers"),
        (("query", "q", "--table", "nothing"), "there is no table 'nothing'"),
    ],
)
def test_what_cannot_be_told_is_asked_for(words: tuple[str, ...], said: str, command: Command, tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path / 'bank.db'}")
    carry_out(target, [*ACCOUNTS, "create table cards (id integer primary key)"])
    code, out, err = command("new", *words, "--database", target.text)
    assert (code, out) == (2, "")
    assert said in err
    assert not (tmp_path / "invariants").exists()


def test_two_columns_that_fit_as_well_are_both_named(command: Command, tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path / 'bank.db'}")
    carry_out(target, ["create table purses (id integer primary key, balance_a integer, balance_b integer)"])
    code, _, err = command(
        "new", "invariant", "--from", "no-negative-balance", "--table", "purses", "--database", target.text
    )
    assert code == 2
    assert "2 fit the word balance in purses (what must not be below zero): balance_a, balance_b" in err
    assert "--set balance=balance_a" in err


def test_templates_are_listed_with_their_words(command: Command) -> None:
    code, out, _ = command("new", "invariant", "--from")
    assert code == 0
    assert "balance-equals-entries\n" in out
    assert "  words: balance, entries, account, amount\n" in out


def test_the_operation_keeps_the_entries_that_a_balance_is_the_sum_of(database: Target, command: Command) -> None:
    carry_out(
        database,
        [
            "create table cards (id uuid primary key default gen_random_uuid(), balance_cents bigint not null)",
            "create table card_movements (id bigint generated always as identity primary key,"
            " card_id uuid not null references cards, amount_cents bigint not null, made_at timestamptz default now())",
        ],
    )
    command("init", "--database", database.text)
    code, out, _ = command("race", "withdraw", "withdraw", "--preemptions", "1", "--schedules", "20")
    assert (code, "violated  cards/balance-equals-entries" in out) == (1, True)
    written = Path("operations/withdraw.sql").read_text()
    assert "-- row opening: card_movements(card_id = :card, amount_cents = 100)\n" in written
    assert "insert into card_movements (card_id, amount_cents) values (:'card_id', -:amount);\n" in written


def test_the_operation_of_a_new_project_overwrites_beside_itself_and_with_its_cure_does_not(
    bank: Target, command: Command, tmp_path: Path
) -> None:
    command("init", "--database", bank.text)
    race = ("race", "withdraw", "withdraw", "--preemptions", "1", "--schedules", "20")
    code, out, _ = command(*race)
    assert (code, "No order gives this: " in out) == (1, True)
    file = tmp_path / "operations" / "withdraw.sql"
    header, _, below = file.read_text().partition("\n\n")
    cure = [line.removeprefix("--   ") for line in below.splitlines() if line.startswith("--   ")]
    assert [line.split()[0] for line in cure] == ["update", "returning", "--"]
    file.write_text("\n".join([header, "", *cure, ""]))
    code, out, _ = command(*race)
    assert (code, "no schedule of 1 pair" in out) == (0, True)


def test_an_operation_on_a_column_that_is_called_as_its_parameter_would_be_is_told_apart_from_it(
    database: Target, command: Command
) -> None:
    """What `\\gset` keeps stands in the place of a parameter of its name: the decision would be about nothing."""
    carry_out(
        database,
        [
            "create table refunds (id integer primary key, amount integer not null check (amount >= 0))",
            "insert into refunds values (1, 100), (2, 50)",
        ],
    )
    url = ("--database", database.text)
    assert command("new", "operation", "refund", "--table", "refunds", "--column", "amount", *url)[0] == 0
    code, out, _ = command("race", "refund", "refund", "--preemptions", "1", "--schedules", "20", *url)
    assert (code, "lost update" in out) == (1, True), out


def test_a_race_that_no_invariant_tells_is_exported_from_a_table_with_unique_values(bank: Target, command: Command) -> None:
    numbered = "integer primary key" if bank.dialect == "sqlite" else "bigint generated always as identity primary key"
    carry_out(
        bank,
        [
            f"create table cards (id {numbered}, code text unique, points integer)",
            "insert into cards (code, points) values ('a', 100), ('b', 50)",
        ],
    )
    url = ("--database", bank.text)
    assert command("new", "operation", "spend", "--table", "cards", *url)[0] == 0
    spend = Path("operations/spend.sql")  # with as few points as there are rows: on an empty database they are keys, too
    spend.write_text(spend.read_text().replace("1..100", "1..2").replace("points = 100", "points = 4"))
    race = ("race", "spend", "spend", "--preemptions", "1", "--schedules", "20", "--pytest", "test_spend.py")
    code, out, err = command(*race, *url)
    assert (code, "serial equivalence" in out) == (1, True), err
    written = Path("test_spend.py").read_text(encoding="utf-8")
    assert "one call after the other, in some order" in written
    assert re.search(r'\bpoints"? from', written), "a figure is no key for being equal to one"


def test_where_no_operation_fits_that_is_said_and_what_is_suggested_works(command: Command, tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path / 'notes.db'}")
    carry_out(target, ["create table notes (id integer primary key, body text)", "insert into notes values (1, 'a')"])

    code, out, _ = command("init", "--database", target.text)

    assert (code, "no operation was written" in " ".join(out.split())) == (0, True), out
    suggested = next(line.split() for line in out.splitlines() if " new operation " in line)
    assert suggested == ["integrity", "new", "operation", "NAME", "--table", "notes"]
    code, out, _ = command("new", "operation", "rename", "--table", "notes")
    assert (code, out.splitlines()[-1].strip()) == (0, "integrity race rename rename")
    code, out, _ = command("race", "rename", "rename")
    assert (code, "sound" in out) == (0, True), out


@pytest.mark.parametrize("has_account", [False, True])
def test_operations_that_a_project_has_are_what_it_is_told_to_race(
    command: Command, tmp_path: Path, *, has_account: bool
) -> None:
    target = Target.parse(f"sqlite:///{tmp_path / 'shop.db'}")
    table = (
        "accounts (id integer primary key, balance integer not null)" if has_account else "notes (id integer primary key)"
    )
    carry_out(
        target,
        [
            f"create table {table}",
            f"insert into {table.split(maxsplit=1)[0]} (id{', balance' * has_account}) values (1{', 5' * has_account})",
        ],
    )
    Path("operations").mkdir()
    Path("operations/broken.sql").write_text("begin;\nselect 1;\n")
    Path("operations/take.sql").write_text(f"select count(*) from {table.split(maxsplit=1)[0]};\n")

    code, out, _ = command("init", "--database", target.text)

    assert (code, "What it has to race is its own: broken, take;" in " ".join(out.split())) == (0, True), out
    assert out.splitlines()[-1].strip() == "integrity race take take"
    assert not Path("operations/withdraw.sql").exists()
    assert command("race", "take", "take")[0] == 0


def test_the_state_of_a_project_names_what_is_broken_and_what_comes_next(command: Command) -> None:
    Path("integrity.toml").write_text('[database]\nurl = "sqlite:///x.db"\n[systems]\nshop = "shp:SHOP"\n')
    for folder, name, text in (
        ("invariants", "one", "select 1"),
        ("operations", "good", "select 1;"),
        ("operations", "bad", "select 1"),
    ):
        Path(folder).mkdir(exist_ok=True)
        Path(f"{folder}/{name}.sql").write_text(text)

    Path("operations/dead-lock.spec").write_text("setup { create table t (i int); }\nsession s step a { select 1; }\n")

    code, out, _ = command("--json")
    assert (code, json.loads(out)["systems"]) == (0, ["shop", "dead_lock"])
    broken = json.loads(out)["broken"]
    assert list(broken) == ["one", "bad", "shop"]
    assert broken["bad"] == "operations/bad.sql:1: the statement is not ended"
    assert "there is no module shp in " in broken["shop"]
    assert "broken      bad: operations/bad.sql:1: the statement is not ended\n" in command()[1]
    for meant, typed in (("good", "goood"), ("shop", "shoop"), ("ghostpass", "ghostpas")):
        code, _, err = command("race", typed)
        assert (code, f"Perhaps you meant {meant}. The systems are: shop, " in " ".join(err.split())) == (
            2,
            True,
        ), err
    assert "ghostpass" not in command("race", "pai")[2]
    code, _, err = command("race", "dead_lock")
    assert (code, " a file of isolationtester's is PostgreSQL's: operations/dead-lock.spec\n  hint: " in err) == (
        2,
        True,
    ), err


def test_after_an_audit_that_found_something_the_state_suggests_to_reproduce_it(command: Command, tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path / 'bank.db'}")
    carry_out(target, list(ACCOUNTS))
    Path("integrity.toml").write_text(f'[database]\nurl = "{target}"\ntest = "bank.db"\n')
    for folder, name, text in (
        ("invariants", "rich", "-- title: all are rich\nselect id from accounts where balance < 1000"),
        ("operations", "look", "-- parameter a: key of accounts\nselect balance from accounts where id = :a;"),
    ):
        Path(folder).mkdir(exist_ok=True)
        Path(f"{folder}/{name}.sql").write_text(text)
    assert command("run", "smoke", "--duration", "0.2s")[0] == 0
    assert "  integrity validate\n" in command()[1]
    assert command("validate")[0] == 1
    out = command()[1]
    assert ("  integrity reproduce rich\n" in out, "  integrity validate\n" in out) == (True, False), out


RAW = {
    "labels of an enum, a balance within bounds": (
        "create type coupon_state as enum ('new', 'used', 'void')",
        "create table shops (id serial primary key)",
        "create table coupons (id uuid primary key default gen_random_uuid(), shop_id int not null references shops,"
        " percent int not null check (percent in (5, 10)), uses_left int not null check (uses_left between 0 and 10),"
        " state coupon_state not null)",
    ),
    "labels of a check, a bound of another column": (
        "create table seats (id int primary key, user_id int, status text not null check (status in ('open', 'closed')),"
        " places int not null check (places < 50), seats_left int not null check (seats_left > 0 and seats_left < places))",
    ),
    "a domain, a table that takes none of the openings before another": (
        "create domain cents as int check (value between 0 and 7)",
        "create table odd_wallets (id int primary key, balance int not null check (balance % 77 = 76))",
        "create table wallets (id int primary key, balance_cents cents not null)",
    ),
    "entries that are never negative": (
        "create table accounts (id int primary key, balance int not null check (balance >= 0))",
        "create table account_entries (id int generated always as identity primary key,"
        " account_id int not null references accounts, amount int not null check (amount > 0))",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RAW)
def test_what_a_new_project_holds_is_taken_by_its_database_and_its_race_runs(
    database: Target, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    carry_out(database, list(RAW[case]))
    (tmp_path / "withdraw").mkdir()
    monkeypatch.chdir(tmp_path / "withdraw")  # the operation, and the system of the folder, have one name
    code, out, _ = command("init", "--database", database.text)
    assert (code, "unknown" in out) == (0, False), out
    assert "active" not in "".join(path.read_text() for path in Path("invariants").rglob("*.sql"))
    race = next(line.split()[1:] for line in out.splitlines() if line.startswith("  integrity race"))
    code, out, err = command(*race, "--schedules", "12")
    assert (code, "lost update" in out) == (1, True), out + err


def test_values_that_a_column_does_not_take_are_refused_with_those_that_it_takes(bank: Target, command: Command) -> None:
    checked = "status varchar(9) not null check (status in ('new', 'used', 'it''s'))"
    carry_out(bank, [f"create table coupons (id integer primary key, shop_id int, {checked})"])
    words = ("new", "invariant", "--from", "one-active-per-owner", "--table", "coupons", "--database", bank.text)
    code, _, said = command(*words)
    assert (code, "--set values=VALUE. It takes: new, used, it's." in said) == (2, True), said
    code, _, said = command(*words, "--set", "values=usd")
    assert (code, "'usd' is nothing that coupons.status takes" in said, "meant used." in said) == (2, True, True), said
    assert command(*words, "--set", "values=used")[0] == 0


TAKEN = (
    ("garages (id integer primary key, fee numeric, free_spots integer)", "takes from garages.free_spots", "race"),
    ("drivers (id integer primary key, credit_cents integer)", "takes from drivers.credit_cents", "race"),
    (
        "lines (id integer primary key, tier integer, credit_limit integer)",
        "No column has the name of what can be taken, as a balance, a stock or a credit: no operation was written.",
        "new operation NAME --table aside",
    ),
    ("gauges (id integer primary key, level integer)", "No column has the name", "new operation NAME --table gauges"),
    (
        "tills (id integer primary key, balance integer check (balance % 77 = 76))",
        "The database refuses the rows of an operation that takes from tills.balance: none was written.",
        "new operation NAME --table tills",
    ),
)


def test_what_can_be_taken_is_found_by_its_name_and_else_why_no_operation_was_written_is_said(
    command: Command, tmp_path: Path
) -> None:
    for number, (made, said, next_) in enumerate(TAKEN):
        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        carry_out(Target.parse(url), ["create table aside (id integer primary key, label text)", f"create table {made}"])
        code, out, _ = command("init", str(number), "--database", url)
        text = " ".join(out.split())
        assert (code, said in text, f" {next_} " in text) == (0, True, True), out
