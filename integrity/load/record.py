"""The record of a run: its folder in the project, and its note in the database that it works on.

A run is noted before its first call, says that it lives while it does, and its history goes to the database when it has
ended. One that is refused before its first call leaves nothing behind.
"""

import os
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

import integrity
from integrity.engines.server_facts import ServerFacts
from integrity.engines.target import Target
from integrity.errors import DatabaseError
from integrity.load.resuming import Rest
from integrity.load.workload import Workload
from integrity.monitor.processes import start_mark
from integrity.project import Project
from integrity.runs.app import AppVersion
from integrity.runs.call_logs import has_calls
from integrity.runs.folder import Recorder, RunFolder, make_run_folder
from integrity.runs.heartbeat import Heartbeat
from integrity.runs.loading import LoadedRun, load_history
from integrity.runs.settings import Machine, RunSettings, Versions
from integrity.runs.settlement import Settlement, settle
from integrity.runs.unfinished import note_running, unnote_running


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Where a run is to be kept, and as what.

    Args:
        time_scale: by which its profile was compressed, for the record.
        resumes: the run that it goes on with; None: none.
        app: the version of the application; None: not known.
        over: the server that its calls go to, as it is shown; empty: to the database.
        processes: that make its calls.
    """

    project: Project
    target: Target
    workload: Workload
    profile_name: str
    time_scale: float
    resumes: Rest | None = None
    app: AppVersion | None = None
    over: str = ""
    processes: int = 1

    def begin(self, server: ServerFacts, *, started_at_us: int) -> "BegunRun":
        """Make the run's folder and note the run in the database; one that is refused leaves no folder behind.

        Raises:
            HistoryError: there can be no folder.
            DatabaseError: it cannot be noted.
        """
        settings = self._describe(server, started_at_us)
        started = datetime.now().astimezone()
        name = f"{started:%Y%m%d-%H%M%S}-{settings.system}-{settings.profile}"
        folder = make_run_folder(self.project.runs_folder, name)
        recorder = None
        try:
            recorder = Recorder(folder, settings)
            note_running(self.target, folder.run_id, settings)
        except BaseException:
            if recorder is not None:
                recorder.close()
            folder.discard()
            raise
        return BegunRun(self, settings, recorder)

    def _describe(self, server: ServerFacts, started_at_us: int) -> RunSettings:
        """Return the run as it was asked for, enough to repeat it; the database's URL without its password."""
        system, bug = self.workload.system, self.workload.bug
        described = RunSettings(
            system=system.name,
            profile=self.profile_name,
            bug=bug.name if bug else None,
            seed=self.workload.seed,
            time_scale=self.time_scale,
            database=str(self.target),
            server=server.version,
            synchronous_commit=server.synchronous_commit,
            started_at_us=started_at_us,
            pid=os.getpid(),
            process_mark=start_mark(os.getpid()),
            versions=Versions(integrity=integrity.__version__, python=platform.python_version()),
            machine=Machine(platform=platform.platform(), cores=os.cpu_count()),
            app=self.app,
            settings=self.workload.profile.model_dump(mode="json"),
            over=self.over,
            processes=self.processes,
        )
        if self.resumes is not None:
            before = {"resumes": self.resumes.run_id, "ran_before_s": round(self.resumes.ran_s, 3)}
            described = described.model_copy(update=before)
        return described.model_copy(update={"reference": system.path}) if system.path else described


@dataclass(frozen=True, slots=True)
class BegunRun:
    """A run that is noted; what it does goes to the recorder."""

    record: RunRecord
    settings: RunSettings
    recorder: Recorder

    @property
    def folder(self) -> RunFolder:
        return self.recorder.folder

    def beating(self) -> AbstractContextManager[None]:
        """Say every few seconds of the block that the run lives."""
        return Heartbeat(self.record.target, self.folder.run_id)

    def load(self) -> LoadedRun:
        """Load its history. Raises what load_history does."""
        return load_history(self.record.target, self.folder)

    def settle(self, loaded: LoadedRun) -> Settlement:
        """Return what became of the calls of unknown outcome. Raises what runs.settlement.settle does."""
        if not loaded.unknown_count:
            return Settlement()
        record = self.record
        return settle(record.target, record.workload.system, self.folder.run_id, project=record.project)

    def take_back(self) -> bool:
        """Forget a run that was refused before its first call; return whether that was so, and nothing is left of it."""
        if any(map(has_calls, self.folder.files_of(self.folder.history))):
            return False
        try:
            unnote_running(self.record.target, self.folder.run_id)
        except DatabaseError:  # it is noted there, and whoever finds it looks for its folder
            return False
        self.folder.discard()
        return True
