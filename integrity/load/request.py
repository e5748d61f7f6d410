"""What is to be run, what a run tells while it goes on, and what it ends with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.events import Event
from integrity.exit_codes import Shortfall, exit_code_of
from integrity.faults.schedule import Window
from integrity.load.over_http import OverHttp
from integrity.load.profile import Profile
from integrity.load.resuming import Rest
from integrity.load.stations.calls_elsewhere import CallsElsewhere
from integrity.load.thresholds import Grade, shortfalls_of
from integrity.monitor.watched import NOTHING_WATCHED, WatchedApplication
from integrity.project import Project
from integrity.runs.folder import RunFolder
from integrity.runs.loading import LoadedRun
from integrity.runs.percentiles import Percentiles
from integrity.runs.result import RunResult
from integrity.runs.samples import Counts
from integrity.systems.system import Bug, System


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What is to be run.

    Args:
        profile: with everything that the command line says; an open one is scaled already.
        time_scale: by which it was compressed, for the record.
        bug: planted; None: the sound system.
        test_database: as guard takes it.
        revive: brings the server back when it is gone, if it is ours to bring back.
        server: where it is ours, for the faults that act on its processes.
        faults: what goes wrong on purpose, and when.
        faults_may_overlap: as read_schedule takes it.
        resumes: the run that it goes on with; None: none.
        application: watched meanwhile.
        over: the server that its calls go to; None: to the database.
        processes: that share the calls; 1: this one makes them all.
        elsewhere: the calls, where stations make them; None: they are made here.
    """

    system: System
    profile_name: str
    profile: Profile
    target: Target
    project: Project
    seed: int
    time_scale: float = 1.0
    bug: Bug | None = None
    test_database: str | None = None
    revive: Callable[[], object] | None = None
    server: EmbeddedServer | None = None
    faults: tuple[Window, ...] = ()
    faults_may_overlap: bool = False
    resumes: Rest | None = None
    application: WatchedApplication = NOTHING_WATCHED
    over: OverHttp | None = None
    processes: int = 1
    elsewhere: CallsElsewhere | None = None


@dataclass(frozen=True, slots=True)
class RunPrepared(Event):
    """Nothing is left that would refuse the run; it begins."""

    request: RunRequest


@dataclass(frozen=True, slots=True)
class RunAdvanced(Event):
    """How a run is doing, once a second.

    Args:
        phase: "running", "finishing" (calls under way, and what is owed) or "storing" (the history).
        operations: of each operation, so far.
        recent: of each operation, over the last ten seconds; a percentile of fewer calls than it needs is None.
        recent_of_all: the same of all operations together.
        calls_per_s: since the sample before the last; when no more are drawn, while they were.
    """

    phase: str
    elapsed_s: float
    duration_s: float
    calls_per_s: float
    operations: Mapping[str, Counts]
    recent: Mapping[str, Percentiles]
    recent_of_all: Percentiles


@dataclass(frozen=True, slots=True)
class EndedRun:
    """What came out.

    Args:
        loaded: its history in the database.
    """

    folder: RunFolder
    result: RunResult
    loaded: LoadedRun

    @property
    def shortfalls(self) -> frozenset[Shortfall]:
        """Return what fell short; a run that was interrupted says that alone, as thresholds are of a whole one.

        Where no call was answered, nothing was measured: not even a threshold was missed that says how well it works.
        Limits that need not be measured do not fall short of it, but where all of them are.
        """
        if self.result.state == "interrupted":
            return frozenset({Shortfall.INTERRUPTED})
        unmeasured = frozenset() if self.result.is_answered else frozenset({Shortfall.UNKNOWN})
        critical = frozenset({Shortfall.MISSED}) if self.result.critical else frozenset()
        if self.result.has_not_recovered or self.result.rising:
            critical |= {Shortfall.MISSED}
        if self.result.lacks_trends or self.result.lacks_recovery:
            unmeasured |= {Shortfall.NOT_MEASURED}
        held = [Grade(each.state) for each in self.result.thresholds if not each.is_spared]
        if self.result.thresholds and not held:
            unmeasured |= {Shortfall.NOT_MEASURED}
        return unmeasured | critical | shortfalls_of(held)

    @property
    def exit_code(self) -> int:
        return exit_code_of(self.shortfalls)
