"""The bench set on SQLite: what its single writer makes impossible, what it does not, and what it refuses instead.

A transaction that begins `immediate` holds the write lock from its beginning, so that nothing can happen inside it. What
is left are calls in several transactions. One that begins `deferred` reads without the lock, and is refused when it would
write on what is old by then.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from integrity.engines.target import Target
from integrity.operation import Begin, Commit, Declined, Ok, Rows, Statement, Steps
from integrity.race.program.program import Actor, Check, Digest, Keys, Program, on_keys
from integrity.systems.stage import Ref, Stage, StagedRow

SCHEMA = """
create table accounts (
    id integer primary key autoincrement,
    owner bigint not null default 0, balance bigint not null, n bigint not null default 0
);
create table credits (
    id integer primary key autoincrement, account_id bigint not null references accounts, event text not null
);
create index credits_account_id on credits (account_id);
create table credits_once (
    id integer primary key autoincrement, account_id bigint not null references accounts, event text not null,
    unique (account_id, event)
);
create table numbers (account_id bigint not null references accounts, n bigint not null);
create index numbers_account_id on numbers (account_id);
create view totals as
    select accounts.id as account_id, coalesce(sum(numbers.n), 0) as total
    from accounts left join numbers on numbers.account_id = accounts.id
    group by accounts.id;
create table guarded (account_id bigint not null references accounts, note text not null);
create index guarded_account_id on guarded (account_id);
create trigger count_guarded after insert on guarded begin
    update accounts set n = n + 1 where id = new.account_id;
end;
insert into sqlite_sequence values ('accounts', 1000000), ('credits', 2000000), ('credits_once', 3000000);
"""

DIGESTS = tuple(
    Digest(table, on_keys(f"select * from {table} where {where}"))
    for table, where in (
        ("accounts", "id in (:account, :second)"),
        ("credits", "account_id = :account"),
        ("credits_once", "account_id = :account"),
        ("numbers", "account_id = :account"),
        ("guarded", "account_id = :account"),
    )
)


@dataclass(frozen=True, slots=True)
class Case:
    """A program of the bench.

    Args:
        schedule: the first that goes wrong, with the fewest preemptions; empty: none does.
        refused: why calls are refused in some schedule, by journal mode; empty: none is.
    """

    name: str
    program: Program
    schedule: str = ""
    refused: tuple[tuple[str, str], ...] = ()


def new_file(folder: Path, journal_mode: str) -> Target:
    """Return a file with the tables of all cases."""
    target = Target.parse(f"sqlite:///{folder}/bench_{journal_mode}.db")
    with closing(target.connect_sqlite()) as connection:
        connection.execute(f"pragma journal_mode = {journal_mode}")
        connection.executescript(SCHEMA)
    return target


def stage() -> Stage:
    """One account with 1000 and a second one of the same owner with 100."""
    return Stage(
        [
            StagedRow("account", "accounts", {"balance": 1000}),
            StagedRow("second", "accounts", {"owner": Ref("account"), "balance": 100}),
        ],
        {"account": Ref("account"), "second": Ref("second")},
    )


def _program(
    *calls: Callable[[Keys, UUID], Steps], check: str = "select 1 as wrong where false", is_deferred: bool = False
) -> Program:
    actors = tuple(Actor(call.__name__.strip("_"), call) for call in calls)
    checks = (Check("check", on_keys(check)),)
    return Program(actors, stage, checks=checks, digests=DIGESTS, is_deferred=is_deferred, is_strict=True)


def _withdraw(*, is_one_transaction: bool) -> Callable[[Keys, UUID], Steps]:
    """Read the balance, then write what is left."""

    def withdraw(keys: Keys, _operation_id: UUID) -> Steps:
        if is_one_transaction:
            yield Begin()
        rows: Rows = yield Statement("select balance from accounts where id = :account for update", keys)
        left = rows[0]["balance"] - 100
        yield Statement("update accounts set balance = :left, n = n + 1 where id = :account", {**keys, "left": left})
        if is_one_transaction:
            yield Commit()
        return Ok({"left": left})

    return withdraw


UPDATE_LOST = "select id from accounts where id = :account and balance <> 1000 - 100 * n"


def _withdraw_from(key: str) -> Callable[[Keys, UUID], Steps]:
    """Take 1000 from one of the two accounts if both together have it."""

    def withdraw(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        rows: Rows = yield Statement("select sum(balance) as total from accounts where id in (:account, :second)", keys)
        if rows[0]["total"] < 1000:
            return Declined("not enough")
        yield Statement(f"update accounts set balance = balance - 1000 where id = :{key}", keys)
        yield Commit()
        return Ok()

    return withdraw


OVERDRAWN = "select sum(balance) as total from accounts where id in (:account, :second) having sum(balance) < 0"


def _credit(*, is_one_transaction: bool) -> Callable[[Keys, UUID], Steps]:
    """Credit the event if that has not been done yet."""

    def credit(keys: Keys, _operation_id: UUID) -> Steps:
        if is_one_transaction:
            yield Begin()
        rows: Rows = yield Statement("select id from credits where account_id = :account", keys)
        if not rows:
            yield Statement("insert into credits (account_id, event) values (:account, 'paid')", keys)
        if is_one_transaction:
            yield Commit()
        return Ok({"is_new": not rows})

    return credit


CREDITED_TWICE = "select account_id from credits where account_id = :account group by account_id having count(*) > 1"


def _alone(sql: str) -> Callable[[Keys, UUID], Steps]:
    """A single statement, outside a transaction."""

    def alone(keys: Keys, _operation_id: UUID) -> Steps:
        rows: Rows = yield Statement(sql, keys)
        return Ok({"rows": len(rows)})

    return alone


INSERT_UNLESS_THERE = """
insert into credits (account_id, event)
select :account, 'paid' where not exists (select 1 from credits where account_id = :account)
returning id
"""
INSERT_ONCE = """
insert into credits_once (account_id, event) values (:account, 'paid')
on conflict (account_id, event) do nothing
returning id
"""
ADD_TO_SUM = (
    "insert into numbers (account_id, n) select :account, coalesce(sum(n), 0) + 1 from numbers where account_id = :account"
)
NOT_DOUBLED = "select n from numbers where account_id = :account group by n having count(*) > 1"


def _take_a_number(*, is_one_transaction: bool) -> Callable[[Keys, UUID], Steps]:
    """Read the counter and then insert what a trigger counts."""

    def take(keys: Keys, _operation_id: UUID) -> Steps:
        if is_one_transaction:
            yield Begin()
        rows: Rows = yield Statement("select n from accounts where id = :account", keys)
        yield Statement("insert into guarded (account_id, note) values (:account, 'here')", keys)
        if is_one_transaction:
            yield Commit()
        return Ok({"place": rows[0]["n"] + 1})

    return take


def _add_to_view(keys: Keys, _operation_id: UUID) -> Steps:
    """Read a sum through a view, in one transaction, and add a row to it in the next."""
    rows: Rows = yield Statement("select total from totals where account_id = :account", keys)
    values = {**keys, "next": rows[0]["total"] + 1}
    yield Statement("insert into numbers (account_id, n) values (:account, :next)", values)
    return Ok({"next": rows[0]["total"] + 1})


def _move(keys: Keys, _operation_id: UUID) -> Steps:
    """Move 100 from one account to the other."""
    yield Begin()
    yield Statement("update accounts set balance = balance - 100 where id = :account", keys)
    yield Statement("update accounts set balance = balance + 100 where id = :second", keys)
    yield Commit()
    return Ok()


def _look(*, is_one_transaction: bool) -> Callable[[Keys, UUID], Steps]:
    """Read one account after the other."""

    def look(keys: Keys, _operation_id: UUID) -> Steps:
        if is_one_transaction:
            yield Begin()
        first: Rows = yield Statement("select balance from accounts where id = :account", keys)
        second: Rows = yield Statement("select balance from accounts where id = :second", keys)
        if is_one_transaction:
            yield Commit()
        return Ok({"total": first[0]["balance"] + second[0]["balance"]})

    return look


def _look_at_two_tables(keys: Keys, _operation_id: UUID) -> Steps:
    """Read a table that nobody changes and then one that is changed, in one transaction."""
    yield Begin()
    yield Statement("select balance from accounts where id = :second", keys)
    rows: Rows = yield Statement("select count(*) as rows from numbers where account_id = :account", keys)
    yield Commit()
    return Ok({"rows": rows[0]["rows"]})


_STALE = (("wal", "SQLITE_BUSY_SNAPSHOT"), ("delete", "SQLITE_BUSY"))
"""What a transaction is refused with that read, and would write after another has: at once, as waiting could not help."""


def _twice(call: Callable[[Keys, UUID], Steps], *, check: str, is_deferred: bool = False) -> Program:
    return _program(call, call, check=check, is_deferred=is_deferred)


CASES = (
    Case("lost update, two transactions", _twice(_withdraw(is_one_transaction=False), check=UPDATE_LOST), "AB"),
    Case("lost update, immediate", _twice(_withdraw(is_one_transaction=True), check=UPDATE_LOST)),
    Case(
        "lost update, deferred",
        _twice(_withdraw(is_one_transaction=True), check=UPDATE_LOST, is_deferred=True),
        refused=_STALE,
    ),
    Case("write skew, immediate", _program(_withdraw_from("account"), _withdraw_from("second"), check=OVERDRAWN)),
    Case(
        "write skew, deferred",
        _program(_withdraw_from("account"), _withdraw_from("second"), check=OVERDRAWN, is_deferred=True),
        refused=_STALE,
    ),
    Case("check then insert, two transactions", _twice(_credit(is_one_transaction=False), check=CREDITED_TWICE), "AB"),
    Case("check then insert, immediate", _twice(_credit(is_one_transaction=True), check=CREDITED_TWICE)),
    # A statement alone takes the write lock before it reads anything, so it cannot race with itself, as it can elsewhere.
    Case("insert where not exists", _twice(_alone(INSERT_UNLESS_THERE), check=CREDITED_TWICE)),
    Case("insert on conflict", _twice(_alone(INSERT_ONCE), check="select 1 as wrong where false")),
    Case("insert the sum", _twice(_alone(ADD_TO_SUM), check=NOT_DOUBLED)),
    Case("a trigger counts, two transactions", _program(*[_take_a_number(is_one_transaction=False)] * 2), "AB"),
    Case("a trigger counts, immediate", _program(*[_take_a_number(is_one_transaction=True)] * 2)),
    Case("a view sums, two transactions", _twice(_add_to_view, check=NOT_DOUBLED), "AB"),
    Case("read skew, two statements", _program(_look(is_one_transaction=False), _move), "AB"),
    Case("read skew, immediate", _program(_look(is_one_transaction=True), _move)),
    Case("a snapshot of two tables, deferred", _program(_look_at_two_tables, _alone(ADD_TO_SUM), is_deferred=True)),
    Case("read skew, deferred", _program(_look(is_one_transaction=True), _move, is_deferred=True)),
)
