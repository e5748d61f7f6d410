"""A system in a few lines, of functions that are there: the least that one can say of it is all that is typed.

    from integrity.systems.brief import KeyOf, operation_of, system_of

    SHOP = system_of(
        "shop",
        operation_of(redeem, declined=(UsedUp,), coupon=KeyOf("coupons")),
        rows=["coupon: coupons(uses_left = 6)"],
    )

The domains are here, too: one line imports all that it takes.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from integrity.domain import Domain, IntegerIn, KeyOf, NewText, NewUuid, OneOf
from integrity.errors import UsageError, quote
from integrity.operation import Operation
from integrity.sql.place import WrittenAt
from integrity.systems.functions import steps_of
from integrity.systems.made_stage import pools_of
from integrity.systems.script.rows import NoRowWanted, Wants, read_row, unite
from integrity.systems.system import System
from integrity.systems.wanted_row import WantedRow

__all__ = ["IntegerIn", "KeyOf", "NewText", "NewUuid", "OneOf", "operation_of", "system_of"]


def operation_of(
    function: Callable[..., Any], /, *, declined: Sequence[type[Exception]] = (), **arguments: Domain
) -> Operation:
    """Return a function as the operation of its name.

    Args:
        function: called with a connection and the arguments, as steps_of has it; or a generator of steps.
        declined: what it raises for a business no.
        arguments: by name, from what each is drawn.

    Raises:
        UsageError: it does not take these arguments.
    """
    is_steps = inspect.isgeneratorfunction(function)
    steps = function if is_steps else steps_of(function, declined=tuple(declined))
    return Operation(function.__name__, steps, arguments)


def system_of(name: str, *operations: Operation, rows: Sequence[str] = ()) -> System:
    """Return the system of these operations, on the tables that the database has.

    Args:
        rows: that a race is played on, "wallet: wallets(balance_minor = 100)", as a file of SQL has them behind `-- row`.

    Raises:
        UsageError: a row cannot be read; or two operations have one name.
    """
    wanted: list[WantedRow] = []
    for text in rows:
        key, _, row = text.partition(":")
        try:
            wanted.append(read_row(key.strip(), row, known=[each.key for each in wanted]))
        except NoRowWanted as error:
            hint = 'Write "wallet: wallets(balance_minor = 100)"; a row above is named :wallet.'
            raise UsageError(f"system {quote(name)}: rows: {error}", hint=hint) from None
    by_name = {each.name: each for each in operations}
    if len(by_name) < len(operations):
        raise UsageError(f"system {quote(name)}: two of its operations have one name", hint="Rename one.")
    drawn = pools_of(each.arguments.values() for each in operations)
    tables = {pool: WrittenAt() for pool in drawn if pool not in {each.key for each in wanted}}
    united = unite([Wants(tuple(wanted), tables)])  # two rows of a table that none is wanted of
    return System(name=name, title=f"the operations of {name}", operations=by_name, rows=united)
