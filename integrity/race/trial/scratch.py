"""Scratch databases: races work on a database of their own beside the target, which is dropped at the end.

Races add rows by the thousand and leave constraints out, so the world that `seed` made, or anybody's, is no place for
them.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from integrity.database.names import located
from integrity.database.namespace import drop_schemas, guard
from integrity.engines.occupancy import occupy
from integrity.engines.target import Target
from integrity.errors import MayNotCreate, UsageError
from integrity.operation import Statement
from integrity.race.play.engine import Scratch
from integrity.race.play.parts import emptying_of_reflected, emptying_statements, fill_scratch
from integrity.systems.reflect import Reflected
from integrity.systems.system import Bug, System


@contextmanager
def scratch_database(
    target: Target,
    system: System,
    *,
    bug: Bug | None = None,
    dropped: tuple[str, ...] = (),
    is_spread: bool = True,
    test_database: str | None = None,
) -> Iterator[Target]:
    """Yield a database that holds the system's tables, empty; it is dropped at the end, whatever happens.

    A role that may not create databases races on the target itself, if that holds no system yet.

    Args:
        bug: constraints and indexes that it forgets are left out.
        dropped: more of them to leave out, as "table.name".
        is_spread: each table numbers its rows from a million of its own on, so that a key is never taken for an amount or
            a count, nor for a key of another table, when runs are compared.
        test_database: the name of a database that its owner says is a test database.

    Raises:
        UsageError: the role may not create databases and the target holds a system.
        UnsafeDatabase: the same, and the target holds tables that we did not make.
    """
    left_out = tuple(dict.fromkeys((*(bug.dropped if bug else ()), *dropped)))
    with ExitStack() as stack:
        try:
            scratch = stack.enter_context(target.make_scratch("race"))
        except MayNotCreate as error:
            if isinstance(system.metadata, Reflected):
                raise UsageError(
                    f"{error.message}: a race is played on a database beside this one, made of its schema",
                    hint="Let the user make one: alter role ... createdb; or race on a server of your own that has the"
                    " schema. Without it validate, run, monitor and health work.",
                ) from None
            stack.enter_context(_on_the_target_itself(target, system, test_database))
            scratch = target
        name = bug.name if bug else ""
        fill_scratch(Scratch(scratch, target, system, left_out, name, is_spread=is_spread))
        yield scratch


def emptying(target: Target, system: System) -> list[Statement]:
    """Return the statements that empty the system's tables."""
    if isinstance(system.metadata, Reflected):
        return emptying_of_reflected(target, system.metadata)
    names = [located(table, target.dialect) for table in reversed(system.metadata.sorted_tables)]
    return emptying_statements(target, names)


@contextmanager
def _on_the_target_itself(target: Target, system: System, test_database: str | None) -> Iterator[None]:
    contents = guard(target, test_database)
    if contents.is_ours:
        raise UsageError(
            f"{target}: its user may not create databases, and races would add rows to the {system.name} that is there",
            hint="Let the user create databases (alter role ... createdb), or name an empty database.",
        )
    with ExitStack() as stack:
        stack.callback(drop_schemas, target)  # alone, after the hold that is shared
        stack.enter_context(occupy(target, "race", is_exclusive=False))
        yield
