"""The job of playing sequences: what becomes a state machine of Hypothesis is chosen before a database is known.

chosen = choose(project, BANK)
TestBank = chosen.machine(target).TestCase
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.invariants.load import select_invariants
from integrity.invariants.variables import set_variables
from integrity.jobs.findings import invariants_of
from integrity.operation import Operation
from integrity.project import Project, make_state_folder
from integrity.race.program.planned_calls import find_operation, make_world
from integrity.sequences.machine import SequenceMachine, make_machine
from integrity.sequences.playground import Playground
from integrity.sql.file import SqlFile
from integrity.systems.made_stage import pools_of
from integrity.systems.stage import Stage
from integrity.systems.system import Bug, System


@dataclass(frozen=True, slots=True)
class ChosenSequences:
    """What is to be played.

    Args:
        operations: that become rules.
        files: the invariants.
        bug: planted.
        stage: the rows that an example begins with; None: those of the system's stage, if it has one.
    """

    project: Project
    system: System
    operations: Mapping[str, Operation]
    files: Sequence[SqlFile]
    bug: Bug | None = None
    stage: Callable[[], Stage] | None = None

    def machine(self, target: Target | str | None, *, test_database: str | None = None) -> type[SequenceMachine]:
        """Return it as a state machine; its database is looked for with the first example.

        Args:
            target: None: the project's, else the embedded server, started if need be.

        Raises:
            UsageError: no operation can be called.
        """
        return make_machine(self.system, self.operations, self._pools(), lambda: self._playground(target, test_database))

    def _playground(self, target: Target | str | None, test_database: str | None) -> Playground:
        found = target if isinstance(target, Target) else self._find_target(target)
        return Playground(found, self.system, self.files, bug=self.bug, stage=self.stage, test_database=test_database)

    def _find_target(self, url: str | None) -> Target:
        named = Target.find(self.project, url, os.environ)
        if named is not None:
            return named
        return EmbeddedServer(make_state_folder(self.project) / "postgres").start()

    def _pools(self) -> Sequence[str]:
        """Return the pools of keys that examples begin with; where only a database knows, all that arguments are of."""
        stage = self.stage or self.system.stage
        if stage is not None:
            return list(make_world(dict.fromkeys(stage().keys)).keys)
        return [] if self.system.is_known else pools_of(each.arguments.values() for each in self.operations.values())


def choose(
    project: Project,
    system: System,
    *,
    bug_name: str | None = None,
    operations: Sequence[str] = (),
    patterns: Sequence[str] = (),
    stage: Callable[[], Stage] | None = None,
) -> ChosenSequences:
    """Return what is to be played.

    Args:
        operations: none: all of the system's.
        patterns: names or patterns of invariants; none: all that are about the system.
        stage: as ChosenSequences has it.

    Raises:
        UsageError: there is no such operation, bug or invariant.
    """
    bug = system.find_bug(bug_name) if bug_name is not None else None
    known = system.operations_with(bug)
    chosen = {name: find_operation(system, known, name) for name in operations or known}
    files = select_invariants(
        set_variables(invariants_of(project, system, operations or system.operations), project), patterns
    )
    return ChosenSequences(project, system, chosen, files, bug, stage)
