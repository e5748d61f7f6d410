"""What a program declares is held to its types where it is made, and to its function."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integrity import Operation, System
from integrity.domain import IntegerIn
from integrity.errors import UsageError
from integrity.operation import Allowed, Mark, Steps
from integrity.systems.functions import steps_of
from integrity.systems.system import Bug, Subscription, Sweep


def book(*, operation_id: str, event_id: int, note: str = "") -> Steps:
    raise NotImplementedError


def book_by(connection: object, event_id: int) -> None:
    raise NotImplementedError


def sell(*_: object, **__: object) -> Steps:
    raise NotImplementedError


EVENT = {"event_id": IntegerIn(1, 9)}
SEAT = {**EVENT, "seat": IntegerIn(1, 9)}
PLACE = re.compile(rf"\(\S*{Path(__file__).name}:\d+\)")

WRONG: dict[str, tuple[Callable[[Any], object], Any, str, str]] = {
    "a comma": (
        lambda given: Operation("book", book, EVENT, marks=given),
        Mark("orders", "id"),
        "operation 'book': marks is of type Mark, and must be a tuple of Mark",
        "One of them is written so: marks=(Mark(...),).",
    ),
    "a text for texts": (
        lambda given: Allowed(declines=given), "busy",
        "allowed: declines is of type str 'busy', and must be a frozenset of str",
        "One of them is written so: declines={'busy'}.",
    ),
    "within": (
        lambda given: Operation("book", book, EVENT, marks=(given,)), "orders.id",
        "operation 'book': marks is of type tuple of str 'orders.id', and must be a tuple of Mark", "Mend it there.",
    ),
    "no instance": (
        lambda given: Operation("book", book, {"event_id": given}), IntegerIn,
        "operation 'book': arguments is of type dict, and must be a mapping of str to Domain", "Mend it there.",
    ),
    "a path": (
        lambda given: System("s", "t", profiles=given), "profiles.toml",
        "system 's': profiles is of type str 'profiles.toml', and must be Path or None", "Mend it there.",
    ),
    "operations": (
        lambda given: System("s", "t", operations=given), [1],
        "system 's': operations is of type list of int, and must be a mapping of str to Operation", "Mend it there.",
    ),
    "a mark's": (lambda given: Mark("orders", given), None, "mark 'orders': column is None, and must be str", "Mend it"),
    "a bug's": (
        lambda given: Bug("b", "f", {}, violates=given), "x", "bug 'b': violates is of type str 'x', and must be", "One of",
    ),
    "a sweep's": (lambda given: Sweep("s", given), 1, "sweep: open is of type int '1', and must be str", "Mend it"),
    "a subscription's": (
        lambda given: Subscription("s", given), book, "subscription: follow is of type function, and must be Operation", "",
    ),
    "an argument": (
        lambda given: Operation("book", given, SEAT), book,
        "operation 'book': book (HERE) takes no 'seat', which it is called with",
        "It takes: operation_id, event_id, note.",
    ),
    "an argument of a function": (
        lambda given: Operation("book", given, SEAT), steps_of(book_by),
        "operation 'book': book_by (HERE) takes no 'seat', which it is called with", "It takes: operation_id, event_id.",
    ),
    "a misspelt argument": (
        lambda given: Operation("book", book, given), {"event": IntegerIn(1, 9)},
        "operation 'book': book (HERE) takes no 'event', which it is called with", "Perhaps you meant event_id.",
    ),
    "an argument too few": (
        lambda given: Operation("book", steps_of(given), {"other": IntegerIn(1, 9)}),
        lambda connection, event_id, **others: None,
        "operation 'book': <lambda> (HERE) asks for 'event_id', which it is not called with", "It is called with:",
    ),
    "a mark's argument": (
        lambda given: Operation("book", book, EVENT, marks=(given,)), Mark("orders", "key", argument="kee"),
        "operation 'book': marks: orders.key holds the argument 'kee', which there is not", "Its arguments are: event_id.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "given", "reason", "hint"), WRONG.values(), ids=WRONG)
def test_a_field_of_another_type_and_a_call_that_a_function_does_not_take_are_refused(
    make: Callable[[Any], object], given: Any, reason: str, hint: str
) -> None:
    with pytest.raises(UsageError) as refused:
        make(given)
    assert PLACE.sub("(HERE)", refused.value.message).startswith(reason)
    assert (refused.value.hint or "").startswith(hint)


def test_what_does_for_a_type_is_taken() -> None:
    Operation("book", book, EVENT, marks=[Mark("orders", "id")], allowed=Allowed(declines={"busy"}))  # type: ignore[arg-type]
    Operation("sell", sell, SEAT)
    Operation("book", steps_of(book_by), EVENT)
    Operation("book", steps_of(book_by), {})  # services alone call it, with theirs
