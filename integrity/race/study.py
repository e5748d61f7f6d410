"""A study: a finding back on scratch databases of its own, to be replayed, cured, exported."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integrity.engines.known import find_engine
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.race.export.export import export_pytest
from integrity.race.finding.finding import CureRecord, Finding
from integrity.race.finding.replay import Replay, contest_of, find_differences, replay, sought_of_finding
from integrity.race.judge.contest import Contest, Ground, survey
from integrity.race.play.again import order_of
from integrity.race.play.deadline import Deadline
from integrity.race.trial.arena import Arena
from integrity.race.trial.cure import Cure, Failing, try_cures
from integrity.sql.file import SqlFile
from integrity.systems.system import System


@dataclass(frozen=True, slots=True)
class Study:
    """What a finding needs to be played."""

    finding: Finding
    arena: Arena
    ground: Ground
    contest: Contest
    files: Sequence[SqlFile]

    def replay(self, times: int) -> list[Replay]:
        """Play it again, so many times."""
        scheduler = self.arena.scheduler(self.contest.dropped)
        return list(replay(scheduler, self.contest.program(), sought_of_finding(self.finding), times=times))

    def find_differences(self, replayed: Replay) -> list[str]:
        """Return what is not as it was when the finding was made."""
        return find_differences(self.finding, self.contest.system, replayed, dropped=self.contest.dropped)

    def with_cures(self) -> Finding:
        """Return the finding with what was tried against it until the deadline.

        Raises:
            NotBack: it does not go wrong with nothing changed.
        """
        failing = Failing(self.finding.letters, self.finding.fingerprint, order_of(self.finding.events))
        cures = tuple(map(record_of, try_cures(self.arena, self.ground, self.contest, failing)))
        return self.finding.model_copy(update={"cures": cures})

    def export(self, path: Path, *, replay_command: str) -> Path:
        """Write it as a test for pytest and, beside that, its SQL; return the path of that."""
        with self.arena.deadline.lifted():
            return export_pytest(
                self.arena, self.contest, self.finding, path, files=self.files, replay_command=replay_command
            )


def record_of(cure: Cure) -> CureRecord:
    """Return what is written down of a cure."""
    return CureRecord(
        kind=cure.kind,
        name=cure.name,
        verdict=cure.verdict,
        is_prevented=cure.is_prevented,
        is_sound=cure.is_sound,
        schedules=cure.schedules,
        sql=cure.sql,
        choices=cure.choices,
        not_for=cure.not_for,
        but_then=cure.but_then,
        held_against=cure.held_against,
        no_races=cure.no_races,
    )


@contextmanager
def open_study(
    target: Target,
    system: System,
    finding: Finding,
    files: Sequence[SqlFile],
    *,
    test_database: str | None = None,
    deadline: Deadline | None = None,
) -> Iterator[Study]:
    """Yield the study of a finding; its databases are dropped at the end.

    Args:
        files: the invariants of the system.
        deadline: of what is tried against it.

    Raises:
        UsageError: the bug, an operation or a key of the finding is not there any more, or the target is of another engine.
        DatabaseError: the server is gone.
    """
    bug = system.find_bug(finding.bug) if finding.bug else None
    if finding.dialect != target.dialect:
        made_on = find_engine(finding.dialect)
        raise UsageError(
            f"the finding was made on {made_on.title}, and {target} is another engine, with other locks",
            hint=f"Name a database of that kind: --database {made_on.example_url}",
        )
    with Arena(target, system, test_database=test_database, deadline=deadline) as arena:
        with arena.deadline.lifted():
            ground = survey(arena.scheduler(frozenset(bug.dropped if bug else ())), system.raced_as(finding.raced), files)
        yield Study(finding, arena, ground, contest_of(finding, ground, bug=bug), files)
