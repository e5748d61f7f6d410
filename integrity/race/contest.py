"""Contests: which operations of a system meet, with what planted and what taken away. The recipe of a program."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from integrity.operation import Isolation, Operation
from integrity.race.program import Program
from integrity.systems.system import Bug, System


@dataclass(frozen=True, slots=True)
class Contest:
    """What is raced.

    Args:
        names: of the operations, one a call: A, B, ...
        isolation: of transactions that do not name a level.
        bug: planted.
        dropped: constraints and indexes that are left out, as "table.name"; the bug's, unless some are tried.
        replaced: operations that stand in for the system's and the bug's: tried cures and mutations.
    """

    system: System
    names: tuple[str, ...]
    isolation: Isolation = Isolation.READ_COMMITTED
    bug: Bug | None = None
    dropped: frozenset[str] = frozenset()
    replaced: Mapping[str, Operation] = field(default_factory=dict)

    @property
    def operations(self) -> dict[str, Operation]:
        """Those that take part, by name."""
        known = {**self.system.operations_with(self.bug), **self.replaced}
        return {name: known[name] for name in dict.fromkeys(self.names)}

    @property
    def bugged(self) -> frozenset[str]:
        """The operations that take part and that the bug replaces."""
        return frozenset(self.names) & (self.bug.operations.keys() if self.bug else frozenset())

    def replacing(self, *operations: Operation) -> "Contest":
        """Return the contest with some operations in place of those of the same names."""
        return replace(self, replaced={**self.replaced, **{operation.name: operation for operation in operations}})

    def program(self) -> Program:
        """Return what is raced."""
        raise NotImplementedError
