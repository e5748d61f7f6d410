"""Staging: makes the rows that one schedule is played on."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from integrity.errors import DatabaseError, UsageError
from integrity.operation import Begin, Commit, Ok, Rollback, Statement, Steps
from integrity.race.program import Keys
from integrity.race.wire import Answer, generated_values


def make_rows(
    stage: Callable[[], Steps],
    ask: Callable[[Sequence[Statement]], list[Answer]],
    generated_columns: Collection[tuple[int, int]],
) -> tuple[Keys, set[object]]:
    """Make the rows; return their keys, and all values that were generated on the way.

    Args:
        ask: returns the answers of statements.
        generated_columns: (table oid, column number) of columns whose values the database makes up.

    Raises:
        UsageError: the stage does what a stage cannot, or returns no keys.
        DatabaseError: one of its statements was refused.
    """
    steps = stage()
    generated: set[object] = set()
    rows = None
    is_open = False
    try:
        while True:
            step = steps.send(rows)
            rows = None
            match step:
                case Begin():
                    ask([Statement("begin")])
                    is_open = True
                case Commit() | Rollback():
                    ask([Statement("commit" if isinstance(step, Commit) else "rollback")])
                    is_open = False
                case Statement():
                    (answer,) = ask([step])
                    rows = answer.rows
                    generated.update(generated_values(answer, generated_columns))
                case _:
                    raise UsageError(f"a stage cannot do {type(step).__name__}", hint="It has statements only.")
    except StopIteration as end:
        reply = end.value
    except DatabaseError:
        if is_open:
            with suppress(DatabaseError):  # the first error is the one to tell
                ask([Statement("rollback")])
        raise
    if not isinstance(reply, Ok):
        raise UsageError(f"the stage did not make its rows: {reply}", hint="It must return Ok with their keys.")
    keys = dict(reply.value)
    generated |= {value for value in keys.values() if value is not None and not isinstance(value, bool)}
    return keys, generated
