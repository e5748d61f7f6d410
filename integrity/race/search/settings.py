"""What is to be raced, and how far it is searched."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from integrity.engines.known import USUAL
from integrity.operation import Isolation
from integrity.race.search.explore import SCHEDULES_MAX
from integrity.sql.file import SqlFile
from integrity.systems.system import Bug, System

CHOICES_MAX = 3  # of arguments, of each group of a matrix


@dataclass(frozen=True, slots=True)
class RaceSettings:
    """How a race is searched, and how far.

    Args:
        preemptions: the bound.
        dialect: of the target.
        schedules: of each group, with each choice of arguments, at most so many are played.
        seconds: for all groups together, if somebody wants an end by then.
        choices_max: of arguments, for each group.
        kept: schedules that went wrong before, tried first, with the operations they were of.
        is_strict: answers that no serial order gives are findings also where the rows are right.
    """

    isolation: Isolation = Isolation.READ_COMMITTED
    dialect: str = USUAL
    preemptions: int = 2
    schedules: int = SCHEDULES_MAX
    seconds: float = math.inf
    seed: int = 0
    jobs: int = 1
    choices_max: int = CHOICES_MAX
    kept: tuple[tuple[tuple[str, ...], str], ...] = ()
    is_strict: bool = False


@dataclass(frozen=True, slots=True)
class RaceSubject:
    """What is raced: the calls of a system, sound or with a bug, judged by invariants.

    Args:
        files: the invariants.
        bug: planted.
    """

    system: System
    files: Sequence[SqlFile]
    settings: RaceSettings = RaceSettings()
    bug: Bug | None = None
