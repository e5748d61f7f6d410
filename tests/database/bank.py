"""A small bank to audit: wallets, their entries, and how to ask for findings about them."""

from collections.abc import Sequence
from pathlib import Path

from integrity.audit import AuditSettings, audit
from integrity.engines.target import Target
from integrity.events import InvariantJudged
from integrity.sql.file import SqlFile, parse_sql_file
from integrity.verdict import InvariantVerdict

BANK = """
create schema bank;
create table bank.wallets (id bigint primary key, balance bigint not null);
create table bank.entries (
    id bigint generated always as identity primary key,
    wallet_id bigint not null,
    amount bigint,
    operation_id uuid not null default gen_random_uuid()
);
insert into bank.wallets select n, 100 from generate_series(1, 50) as n;
insert into bank.entries (wallet_id, amount) select n, 60 from generate_series(1, 50) as n;
insert into bank.entries (wallet_id, amount) select n, 40 from generate_series(1, 50) as n;
"""
BALANCE = """
select wallets.id, wallets.balance, coalesce(sum(entries.amount), 0) as total
from bank.wallets
left join bank.entries on entries.wallet_id = wallets.id
group by wallets.id
having wallets.balance is distinct from coalesce(sum(entries.amount), 0)
order by wallets.id
"""
NOT_NEGATIVE = "select id, balance from bank.wallets where balance < 0 order by id"
HAS_WALLET = """
select entries.id, entries.wallet_id from bank.entries left join bank.wallets on wallets.id = entries.wallet_id
where wallets.id is null order by entries.id
"""


def execute(target: Target, statements: str) -> None:
    with target.connect() as connection:
        connection.execute(statements)


def file(query: str, name: str = "bank/x", header: str = "") -> SqlFile:
    return parse_sql_file(f"-- title: t\n{header}{query}", path=Path(f"invariants/{name}.sql"), name=name)


def files(**queries: str) -> list[SqlFile]:
    return [file(query, f"bank/{name}") for name, query in queries.items()]


def findings(target: Target, invariants: Sequence[SqlFile], **options: object) -> dict[str, InvariantVerdict]:
    """Return the findings by the last part of their names."""
    events = audit(target, invariants, AuditSettings(**options))  # type: ignore[arg-type]  # each test's own options
    return {event.finding.name.rpartition("/")[2]: event.finding for event in events if isinstance(event, InvariantJudged)}


def only(target: Target, query: str, **options: object) -> InvariantVerdict:
    return findings(target, files(x=query), **options)["x"]
