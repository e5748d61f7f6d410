"""Operations whose rows a database takes: before one is written, the row maker is asked for them, which only reads.

What is in the account at first, what may be taken of it, and what is left then are tried on the checks of its table, and so
is the entry of what was taken.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from integrity.drafts.found import FoundTable
from integrity.drafts.operation import OPENING, Account, draft_operation, find_accounts
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.sql.name import quoted
from integrity.systems.made_rows import RowMaker
from integrity.systems.reflect import Reflected
from integrity.systems.script.file import parse_operation_file
from integrity.systems.wanted_row import WantedRow

_OPENINGS = (OPENING, 10, 5, 3, 2, 1000, 10_000, 1_000_000)
"""What may be in an account at first, the likeliest first."""

Drafted = tuple[Account, str]


def draft_raceable(target: Target, tables: Reflected, found: Sequence[FoundTable]) -> Drafted | None:
    """Return the operation of the likeliest table of accounts whose rows the database takes; None: there is none such."""
    return next((drafted for each in find_accounts(found) if (drafted := _fitted(each, target, tables))), None)


def fitted(account: Account, target: Target, tables: Reflected) -> str:
    """Return the operation of an account, with rows that the database takes where any are found."""
    drafted = _fitted(account, target, tables)
    return drafted[1] if drafted else draft_operation(account, has_one_writer=target.engine.has_one_writer)


def _fitted(account: Account, target: Target, tables: Reflected) -> Drafted | None:
    alone = [replace(account, entries=None)] if account.entries else []
    for each in (account, *alone):
        for opening in _OPENINGS:
            for left in (0, 1):
                text = draft_operation(
                    each, has_one_writer=target.engine.has_one_writer, opening=opening, most=opening - left
                )
                if _takes(target, tables, [*_wanted(text), *_written(each, opening, left)]):
                    return each, text
    return None


def _wanted(text: str) -> Sequence[WantedRow]:
    return parse_operation_file(text, path=Path("withdraw.sql")).header.rows


def _written(account: Account, opening: int, left: int) -> list[WantedRow]:
    """Return rows as a call leaves them: of which the least was taken, and the most."""
    balance = quoted(account.balance)
    rows = [WantedRow(f"after_{value}", account.table.sql, {balance: str(value)}) for value in {opening - 1, left}]
    if account.entries is not None:
        amounts = {quoted(account.entries.account): f":{rows[0].key}", quoted(account.entries.amount): "-1"}
        rows.append(WantedRow("taken", account.entries.table.sql, amounts))
    return rows


def _takes(target: Target, tables: Reflected, rows: Sequence[WantedRow]) -> bool:
    def ask(question: str) -> Sequence[Sequence[Any]]:
        with target.open_line(tables.places, is_read_only=True) as line:
            return line.ask(question)

    maker = RowMaker(tables, ask, target.dialect)
    try:
        maker.make(rows)
        maker.check_given()
    except UsageError:  # a check, a type, or a column for which no value is known: another draft may do
        return False
    return True
