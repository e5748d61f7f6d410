"""The arena: a system's scratch databases, each with some constraints left out, and a scheduler on each.

Made when first asked for, kept while one command needs them, dropped at its end. Races with another set of constraints go
to another database, since rows that one race broke would stand in the way of a constraint that the next one wants.
"""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from integrity.engines.engine import Engine
from integrity.engines.target import Target
from integrity.operation import Statement
from integrity.race.play.deadline import Deadline
from integrity.race.play.scheduler import Scheduler
from integrity.race.trial.scratch import emptying, scratch_database
from integrity.systems.reflect import Reflected
from integrity.systems.system import System


class Arena:
    """A context manager.

    Args:
        target: the server to make them on.
        test_database: the name of a database that its owner says is a test database.
        deadline: behind which no database is made and nothing is played.
    """

    def __init__(
        self, target: Target, system: System, *, test_database: str | None = None, deadline: Deadline | None = None
    ) -> None:
        self.deadline = deadline or Deadline()
        self._target = target
        self._system = system
        self._test_database = test_database
        self._stack = ExitStack()
        self._schedulers: dict[tuple[frozenset[str], tuple[str, ...]], Scheduler] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def kind(self) -> "Engine[Target]":
        """The kind of database that is raced on."""
        return self._target.engine

    @property
    def dialect(self) -> str:
        """As Target.dialect names it."""
        return self._target.dialect

    def scheduler(self, dropped: frozenset[str] = frozenset(), added: tuple[str, ...] = ()) -> Scheduler:
        """Return the scheduler on a database without some constraints and indexes, as "table.name", and with some more.

        Args:
            added: the statements that make those.

        Raises:
            StatementRefused: one of them cannot be made.
            BudgetOver: the deadline has passed.
        """
        key = dropped, added
        if key not in self._schedulers:
            self.deadline.check()
            scheduler = self._open(dropped, is_spread=True)
            scheduler.ask([Statement(sql) for sql in added])
            self._schedulers[key] = scheduler
        return self._schedulers[key]

    def fresh_scheduler(self, dropped: frozenset[str]) -> Scheduler:
        """Return a scheduler on an empty database of its own, whose tables number their rows from 1 on."""
        return self._open(dropped, is_spread=False)

    def _open(self, dropped: frozenset[str], *, is_spread: bool) -> Scheduler:
        database = self._stack.enter_context(
            scratch_database(
                self._target,
                self._system,
                dropped=tuple(sorted(dropped)),
                is_spread=is_spread,
                test_database=self._test_database,
            )
        )
        # What is made of rows numbered from 1 on is exported, and a table of SQLite that is emptied begins at 1 again. Rows
        # of reflected tables are alone there: those of two runs would collide in what is unique.
        is_swept = is_spread or isinstance(self._system.metadata, Reflected)
        swept = emptying(database, self._system) if is_swept else ()
        return self._stack.enter_context(Scheduler(database, emptying=swept, deadline=self.deadline))
