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
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

from integrity.declaring import check_value
from integrity.domain import Domain, IntegerIn, KeyOf, NewText, NewUuid, OneOf
from integrity.errors import UsageError, quote
from integrity.operation import Operation
from integrity.sql.place import WrittenAt
from integrity.systems.functions import steps_of
from integrity.systems.made_stage import pools_of
from integrity.systems.script.rows import NoRowWanted, Wants, read_row, unite
from integrity.systems.system import System
from integrity.systems.wanted_row import WantedRow
from integrity.user_code import place_of

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
        UsageError: it is no function, or does not take these arguments; or what is declined is no types of exceptions.
    """
    name = getattr(function, "__name__", "")
    if not callable(function) or not name:
        hint = "Write operation_of(withdraw, account=...), of `def withdraw(connection, *, account)`."
        raise UsageError(f"operation_of: {function!r} is no function with a name", hint=hint)
    said = f"operation {quote(name)}"
    hint = "Name the types themselves: declined=[NotEnough]."
    declined = _held(declined)
    check_value(said, "declined", declined, Sequence[type[Exception]], hint=hint)
    if not inspect.isgeneratorfunction(function):
        return Operation(name, steps_of(function, declined=tuple(declined)), arguments)
    taken = inspect.signature(function).parameters
    if "operation_id" not in taken and not any(each.kind is each.VAR_KEYWORD for each in taken.values()):
        place = place_of(function)
        written = f"{name}{f' ({place})' if place else ''}"
        raise UsageError(
            f"{said}: {written} is a generator, and takes no operation_id, as a generator of steps does",
            hint=f"Of steps write def {name}(*, operation_id, ...); in a function with a connection leave out `yield`.",
        )
    return Operation(name, function, arguments)


def system_of(name: str, *operations: Operation, rows: Sequence[str] = ()) -> System:
    """Return the system of these operations, on the tables that the database has.

    Args:
        rows: that a race is played on, "wallet: wallets(balance_minor = 100)", as a file of SQL has them behind `-- row`.

    Raises:
        UsageError: a row cannot be read, or is no text; or two operations have one name, or one is none.
    """
    said, rows = f"system {quote(name)}", _held(rows)
    hint = "Write operation_of(withdraw, account=...) in its place."
    check_value(said, "operations", operations, Sequence[Operation], hint=hint)
    check_value(said, "rows", rows, Sequence[str], hint='Write rows=["wallet: wallets(balance_minor = 100)"].')
    wanted: list[WantedRow] = []
    for text in rows:
        key, _, row = text.partition(":")
        try:
            wanted.append(read_row(key.strip(), row, known=[each.key for each in wanted]))
        except NoRowWanted as error:
            hint = 'Write "wallet: wallets(balance_minor = 100)"; a row above is named :wallet.'
            raise UsageError(f"{said}: rows: {error}", hint=hint) from None
    by_name = {each.name: each for each in operations}
    if len(by_name) < len(operations):
        raise UsageError(f"{said}: two of its operations have one name", hint="Rename one.")
    drawn = pools_of(each.arguments.values() for each in operations)
    tables = {pool: WrittenAt() for pool in drawn if pool not in {each.key for each in wanted}}
    united = unite([Wants(tuple(wanted), tables)])  # two rows of a table that none is wanted of
    return System(name=name, title=f"the operations of {name}", operations=by_name, rows=united)


def _held(given: Any) -> Any:
    """Return a set or an iterator as a tuple, and all else as it is."""
    return tuple(given) if isinstance(given, Set | Iterator) else given
