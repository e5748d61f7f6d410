"""An operation to go on with: a read, a decision and a write, as they are written everywhere, and raceable at once.

What it does is right alone and wrong beside itself: both calls read the same value, and the second writes over the first.
The cure stands below it, so that a race can be seen found and then gone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from integrity.drafts.filling import find_likely
from integrity.drafts.found import FoundTable, Holds
from integrity.drafts.query import parameter_name
from integrity.drafts.template import ColumnWord, Template
from integrity.drafts.templates.catalogue import TEMPLATES
from integrity.drafts.templates.sums import BALANCE_NAMES
from integrity.errors import UsageError, quote
from integrity.sql.name import quoted

_CREDIT_NAMES = ("credit_cents", "credit_minor", "credit_amount", "*_credit", "free_*", "*_free")
"""What is given, and what is free; a `credit_limit` is neither, nor is the `credit` of a line beside its debit."""

_ACCOUNT = Template(
    "operation",
    "",
    (
        ColumnWord(
            "balance",
            "what a call takes from",
            Holds.NUMBERS,
            (*BALANCE_NAMES, "stock", "stock_*", "*remaining*", "*left", "credits", "points", "quantity", *_CREDIT_NAMES),
        ),
    ),
    "",
    "",
)


@dataclass(frozen=True, slots=True)
class Account:
    """A table with something in it that can be taken: a balance, a stock, places.

    Args:
        balance: the column.
        entries: what the balance is the sum of; None: nothing that is known.
    """

    table: FoundTable
    balance: str
    entries: "Entries | None" = None


@dataclass(frozen=True, slots=True)
class Entries:
    """A table of what was put into accounts and taken from them, of which a row needs nothing but these.

    Args:
        account: the column that refers to the account.
        amount: the signed amount.
    """

    table: FoundTable
    account: str
    amount: str


OPENING = 100
"""What is in an account at first, unless its table says otherwise."""


def find_accounts(tables: Sequence[FoundTable], *, beside: Sequence[FoundTable] = ()) -> Iterator[Account]:
    """Yield what looks like a table of accounts, the likeliest first.

    Args:
        beside: tables that may hold its entries; none: these.
    """
    for filling in find_likely(_ACCOUNT, [table for table in tables if len(table.key) == 1]):
        table, balance = filling.tables["table"], filling.columns["balance"][0]
        yield Account(table, balance, _find_entries(table, balance, beside or tables))


def _find_entries(table: FoundTable, balance: str, tables: Sequence[FoundTable]) -> Entries | None:
    """Return what a balance is the sum of, if that is told by names and a new row of it needs no more."""
    for filling in find_likely(TEMPLATES["balance-equals-entries"], tables):
        (account,), (amount,) = filling.columns["account"], filling.columns["amount"]
        entries = filling.tables["entries"]
        if (filling.tables["table"], filling.columns["balance"]) == (table, (balance,)):
            return Entries(entries, account, amount) if entries.needed <= {account, amount} else None
    return None


def account_in(table: FoundTable, column: str | None = None, *, beside: Sequence[FoundTable] = ()) -> Account:
    """Return a table as one of accounts.

    Args:
        beside: tables that may hold its entries.
        column: its balance; None: a column of numbers with such a name, else the only one.

    Raises:
        UsageError: it has no key of one column, or no such column.
    """
    if len(table.key) != 1:
        has = "a key of several columns" if table.key else "no primary key"
        raise UsageError(
            f"{table.words} has {has}, and a call names one row by one value",
            hint="Name a table with a key of one column: --table NAME.",
        )
    numbers = numbers_of(table)
    found = next(find_accounts([table], beside=beside), None) if column is None else None
    if found is None and column is None and len(numbers) == 1:
        column = numbers[0]
    if found is not None:
        return found
    if column not in numbers:
        said = "no column looks like a balance" if column is None else f"{quote(column)} is no column of numbers"
        listed = f"Its columns of numbers: {', '.join(numbers)}." if numbers else "It has none; --table NAME names another."
        raise UsageError(f"{table.words}: {said}", hint=f"--column NAME. {listed}")
    return Account(table, column, _find_entries(table, column, beside))


def numbers_of(table: FoundTable) -> list[str]:
    """Return the columns of numbers that are neither of its key nor refer to another table."""
    return [
        name
        for name, holds in table.columns.items()
        if holds is Holds.NUMBERS and name not in table.key and name not in table.referring
    ]


def draft_operation(account: Account, *, has_one_writer: bool, opening: int = OPENING, most: int = OPENING) -> str:
    """Return an operation that takes something from an account, if there is enough.

    Args:
        opening: what is in the accounts that a race is played on.
        most: that a call takes.
        has_one_writer: of the engine: who begins a transaction waits for the writer before him, so that a read is only old
            where it was made before.
    """
    table, balance = account.table, quoted(account.balance)
    row = _singular(table.name)
    key, kept = f"{row}_{parameter_name(table.key[0])}", parameter_name(account.balance)
    amount = "amount" if kept != "amount" else "asked"  # what \gset keeps would stand in the parameter's place
    value = f"{balance} as {kept}" if kept != account.balance else balance
    mark = _mark(key, table.columns[table.key[0]])
    where = f"{quoted(table.key[0])} = {mark}"
    read = [f"select {value} from {table.sql} where {where} \\gset", f"-- decline not_enough unless {kept} >= :{amount}"]
    write = f"update {table.sql} set {balance} = :{kept} - :{amount} where {where};"
    made = [write]
    if account.entries is not None:
        entries, columns = account.entries.table.sql, f"{quoted(account.entries.account)}, {quoted(account.entries.amount)}"
        made.append(f"insert into {entries} ({columns}) values ({mark}, -:{amount});")
    steps = [*read, "begin;", *made] if has_one_writer else ["begin;", *read, *made]
    return "\n".join(
        [
            f"-- title: take an amount from a row of {' '.join(table.words.split())}, if there is as much",
            f"-- parameter {key}: key of {table.sql}",
            f"-- parameter {amount}: integer 1..{most}",
            *_rows(account, row, opening),
            "",
            *steps,
            "commit;",
            "",
            f"-- Two calls at once can both read the same {kept}, and the second writes over what the first wrote.",
            "-- The cure is to look and write in one statement, in the place of the select and the update:",
            f"--   update {table.sql} set {balance} = {balance} - :{amount} where {where} and {balance} >= :{amount}",
            "--     returning 1 as taken \\gset",
            "--   -- decline not_enough unless row",
            "",
        ]
    )


def draft_plain(table: FoundTable) -> str:
    """Return an operation that reads a row and writes it back, of a table in which nothing looks as if it could be taken.

    Args:
        table: with a key of one column.
    """
    row = _singular(table.name)
    key = f"{row}_{parameter_name(table.key[0])}"
    where = f"{quoted(table.key[0])} = {_mark(key, table.columns[table.key[0]])}"
    column = next((name for name in table.columns if name not in table.key and name not in table.referring), None)
    lines = [f"delete from {table.sql} where {where};"]
    if column is not None:
        kept = parameter_name(column)
        value = f"{quoted(column)} as {kept}" if kept != column else column
        lines = [
            f"select {value} from {table.sql} where {where} \\gset",
            "-- decline not_found unless row",
            f"update {table.sql} set {quoted(column)} = {_mark(kept, table.columns[column])} where {where};",
        ]
    return "\n".join(
        [
            f"-- title: read a row of {' '.join(table.words.split())}, and write it",
            f"-- parameter {key}: key of {table.sql}",
            "",
            "begin;",
            *lines,
            "commit;",
            "",
            "-- Put in what your application does. Of the same row, two calls at once write over one another.",
            "",
        ]
    )


def _mark(name: str, holds: Holds) -> str:
    """Return a value as psql spells a number, and all else."""
    return f":{name}" if holds is Holds.NUMBERS else f":'{name}'"


def _rows(account: Account, row: str, opening: int) -> Iterator[str]:
    """Yield what a race is played on: two accounts, so that calls can meet on one and pass each other by."""
    for name, entry in ((row, "opening"), (f"other_{row}", "other_opening")):
        yield f"-- row {name}: {account.table.sql}({quoted(account.balance)} = {opening})"
        if account.entries is not None:
            refers, amount = quoted(account.entries.account), quoted(account.entries.amount)
            yield f"-- row {entry}: {account.entries.table.sql}({refers} = :{name}, {amount} = {opening})"


def _singular(name: str) -> str:
    """Return what one row is called: wallet of wallets, entry of entries."""
    word = parameter_name(name)
    for ending, single in (("ies", "y"), ("sses", "ss"), ("ss", "ss"), ("s", "")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word.removesuffix(ending) + single
    return word
