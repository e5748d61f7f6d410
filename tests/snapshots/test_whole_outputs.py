"""Whole outputs of the commands that are seen most, compared to the letter with what is recorded beside this file.

A recording holds the command, what it printed on stdout and on stderr, and its exit code. What differs from run to run is
written as one thing: the moment, durations, the database's address, the server's version, the project's folder. To renew
the recordings, and then to read what changed in them:

    RENEW_SNAPSHOTS=1 python -m pytest tests/snapshots/test_whole_outputs.py && git diff tests/snapshots/recorded_audits
"""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from integrity.cli.main import main
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target

pytestmark = pytest.mark.usefixtures("no_columns")

RECORDED = Path(__file__).with_name("recorded_audits")

SHOP = """
create table accounts (id bigint primary key, owner text not null, balance_minor bigint not null);
create table entries (
    id bigint primary key, account_id bigint not null, amount_minor bigint not null, operation_id uuid not null
);
create table prices (id bigint primary key, item text not null, valid daterange not null, price numeric not null);
create table refunds (id bigint primary key, entry_id bigint not null);
insert into accounts values (1, 'Ada', 100), (2, 'Bob', 250), (3, E'Eve | <b>\\x1b[31m', 70);
insert into entries values
    (1, 1, 100, '00000000-0000-7000-8000-000000000001'),
    (2, 2, 200, '00000000-0000-7000-8000-000000000002'),
    (3, 3, 20, '00000000-0000-7000-8000-000000000003');
insert into prices values
    (1, 'tea', '[2026-01-01,infinity)', 2.50), (2, 'tea', '[2026-06-01,infinity)', 3), (3, 'bun', '[2026-01-01,)', 1);
create schema integrity;
create table integrity.runs (run_id text, system text);
create table integrity.calls (
    run_id text, operation_id uuid, operation text, arguments jsonb, client int, intended_at timestamptz,
    invoked_at timestamptz, returned_at timestamptz, outcome text, reply jsonb, error text, attempts int
);
insert into integrity.calls values (
    'r1', '00000000-0000-7000-8000-000000000002', 'pay', '{"account_id": 2, "amount_minor": 50}', 4, null,
    '2026-01-17 18:00:00.000001+00', '2026-01-17 18:00:00.25+00', 'ok', '{}', '', 1
);
analyze;
"""
INVARIANTS = {
    "accounts/balance-equals-entries": """\
-- title: an account's balance equals the sum of its entries
-- why: guests spend what the account says, not what the entries say
-- hint: calls that write an entry and the balance in two transactions
-- source: double-entry bookkeeping
select
    accounts.id                             as account_id,
    accounts.owner,
    accounts.balance_minor,
    coalesce(sum(entries.amount_minor), 0)  as entries_total_minor,
    string_agg(entries.operation_id::text, ' ' order by entries.id) as operation_ids
from accounts
left join entries on entries.account_id = accounts.id
group by accounts.id
having accounts.balance_minor is distinct from coalesce(sum(entries.amount_minor), 0)
order by accounts.id
""",
    "accounts/not-negative": """\
-- title: no account is below zero
select id, balance_minor from accounts where balance_minor < 0 order by id
""",
    "accounts/owner-once": """\
-- title: nobody has two accounts
-- parameter: since date = now - 30 days
select owner, count(*) as accounts, :'since' as since from accounts group by owner having count(*) > 1_0
""",
    "broken": "-- title: nothing is broken\n-- sevrity: warning\nselect 1 as one\n",
    "misspelt": "-- title: every refund is of an entry\nselect refunds.id from refunds where refunds.entry = 0\n",
    "prices/one-at-a-time": """\
-- title: an item has one price at a time
-- severity: warning
select one.id, other.id, one.valid * other.valid as both_valid, one.price, other.price
from prices as one
join prices as other on other.item = one.item and other.id > one.id and other.valid && one.valid
order by one.id, other.id
""",
    "refunds/has-an-entry": """\
-- title: every refund is of an entry
select refunds.id
from refunds
left join entries on entries.id = refunds.entry_id
where entries.id is null
order by refunds.id
""",
    "refunds/positive": "-- title: no refund is numbered below one\nselect id from refunds where id < 1 order by id\n",
}

OUTPUTS: dict[str, tuple[str, ...]] = {
    "validate-holds": ("validate", "--select", "accounts/not-negative"),
    "validate-mixed": ("validate",),
    "validate-mixed-verbose": ("validate", "--verbose"),
    "validate-mixed-json": ("validate", "--json"),
    "validate-mixed-junit": ("validate", "--format", "junit"),
    "validate-mixed-markdown": ("validate", "--format", "markdown"),
    "validate-violated-first-row": ("validate", "--select", "balance-equals-*", "--limit-evidence", "1"),
    "validate-warning-only": ("validate", "--select", "prices/*"),
    "validate-unknown": ("validate", "--select", "broken", "--select", "misspelt"),
    "validate-some-empty": ("validate", "--select", "accounts/not-negative", "--select", "refunds/positive"),
    "validate-all-empty": ("validate", "--select", "refunds/positive"),
    "validate-fail-on-empty": ("validate", "--select", "*not-negative", "--select", "*positive", "--fail-on-empty"),
    "validate-plan": ("validate", "--plan"),
    "validate-plan-exact": ("validate", "--plan", "--exact", "--select", "accounts/*"),
    "validate-no-such-invariant": ("validate", "--select", "accounts/not-negativ"),
    "list": ("list", "--select", "accounts/*", "--select", "prices/*", "--select", "broken"),
    "list-json": ("list", "--select", "accounts/owner-once", "--json"),
    "explain": ("explain", "accounts/balance-equals-entries"),
    "explain-json": ("explain", "not-negative", "--json"),
    "explain-asked-as-it-stands": ("explain", "accounts/owner-once"),
    "explain-broken": ("explain", "broken"),
    "explain-no-such-invariant": ("explain", "accounts/not-negativ"),
}


@pytest.fixture(scope="module")
def shop(server: EmbeddedServer) -> Iterator[Target]:
    """A small shop's database, which is only read."""
    name = f"shop_{os.getpid()}"
    with server.target.connect() as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        target = Target(server.target.url.set(database=name))
        with target.connect() as connection:
            connection.execute(SHOP)
        yield target
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def project(shop: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shop's project, which is the current folder."""
    for name, text in INVARIANTS.items():
        path = tmp_path / "invariants" / f"{name}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", shop.text)
    return tmp_path


def normal(text: str, folder: Path) -> str:
    """Return the text without what differs from run to run."""
    for pattern, stands in (
        (re.escape(str(folder)), "PROJECT"),
        (r"postgresql(\\?):[^\s\"<]+", r"postgresql\1://DATABASE"),
        (r"one snapshot (\\?\().*?(\\?\)) of PostgreSQL [\d.\\]+\d", r"one snapshot \1...\2 of PostgreSQL N"),
        (r" at 20[\d\\-]+ [\d\\:]+ UTC", " at MOMENT"),
        (r"(?m)  \d+\.\d\d$", "  0.00"),
        (r", in \d+\.\d s:\n", ", in 0.0 s:\n"),
        (r"(time|timestamp)=\"[^\"]*\"", r'\1="..."'),
        (r"\"(seconds|taken_at)\": [^,\n]+", r'"\1": ...'),
    ):
        text = re.sub(pattern, stands, text)
    return text


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_whole_output_is_to_the_letter_what_was_recorded(
    name: str, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(OUTPUTS[name]))
    out, err = capfd.readouterr()
    parts = [f"$ integrity {shlex.join(OUTPUTS[name])}\n", out, f"--- stderr\n{err}" if err else ""]
    printed = normal("".join([*parts, f"--- exit {ended.value.code}\n"]), project)
    recorded = RECORDED / f"{name}.txt"
    if os.environ.get("RENEW_SNAPSHOTS"):
        recorded.write_text(printed, encoding="utf-8")
    assert printed == recorded.read_text(encoding="utf-8")


def test_every_recording_is_of_an_output_that_is_compared() -> None:
    assert {path.stem for path in RECORDED.iterdir()} == set(OUTPUTS)
