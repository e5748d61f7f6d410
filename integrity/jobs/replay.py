"""The job of replaying: a finding is played again on fresh rows.

chosen = choose(project, Path("ghostpass-lost_update-sell-sell"))
replayed = listen(replay(chosen, target, times=10))
"""

from dataclasses import dataclass, replace
from pathlib import Path

from integrity.engines.target import Target
from integrity.errors import UsageError, quote
from integrity.events import Job
from integrity.jobs.findings import Wanted, export, invariants_of, races_folder, system_on
from integrity.jobs.replay_requests import (
    ChosenRequests,
    choose_requests,
    choose_token,
    replay_requests,
)
from integrity.project import Project
from integrity.race.finding.finding import Finding, names_of, read_finding
from integrity.race.finding.replay import check_calls, contest_of, find_differences, sought_of_finding
from integrity.race.finding.replay import replay as play_again
from integrity.race.finding.token import MARK, read_token
from integrity.race.raced import Replayed
from integrity.race.search.settings import RaceSubject
from integrity.race.study import open_study
from integrity.registry import Registry
from integrity.suggestion import suggest

SHOWN_MOST = 10


@dataclass(frozen=True, slots=True)
class ChosenFinding:
    """What is to be replayed, before the database is known.

    Args:
        file: of the finding.
        race: its system and the invariants of that; the finding knows the bug and the settings.
    """

    finding: Finding
    file: Path
    race: RaceSubject


def choose(project: Project, named: Path) -> ChosenFinding | ChosenRequests:
    """Return a finding.

    Args:
        named: its file, or its name in the folder where `race` keeps them, or a token.

    Raises:
        UsageError: it cannot be read, or is about a system that nobody declares, or calls what that has not any more.
    """
    if str(named).startswith(MARK):
        return choose_token(project, read_token(str(named)), races_folder(project))
    file = _find(project, named)
    finding = read_finding(file)
    if finding.scenario is not None:
        return choose_requests(project, finding, finding.scenario, file)
    system = Registry(project).resolve(finding.system, finding.reference, place=str(file))
    check_calls(finding, system, place=str(file))
    return ChosenFinding(finding, file, RaceSubject(system, invariants_of(project, system)))


def _find(project: Project, named: Path) -> Path:
    """Return the file that is meant: as it is named, else of those that are kept."""
    kept = sorted(races_folder(project).glob("*.json"))
    try:
        is_there = named.exists()
    except OSError:  # no file has such a name
        is_there = False
    if is_there or named.parent != Path():
        return named
    for file in kept:
        if str(named) in (file.name, file.stem):
            return file
    listed = ", ".join(file.stem for file in kept[:SHOWN_MOST]) + (" ..." if len(kept) > SHOWN_MOST else "")
    always = f"Those kept in {races_folder(project)} are: {listed}." if kept else "`integrity race` writes findings."
    hint = suggest(named.name.removesuffix(".json"), [file.stem for file in kept], always=always)
    raise UsageError(f"{quote(str(named))}: there is no such file, and no finding of that name", hint=hint)


def url_of(chosen: ChosenFinding | ChosenRequests) -> str | None:
    """Return the database that what is chosen names itself; None: it names none."""
    return chosen.subject.scenario.database.url if isinstance(chosen, ChosenRequests) else None


def replay(
    chosen: ChosenFinding | ChosenRequests,
    target: Target,
    wanted: Wanted | None = None,
    *,
    times: int = 1,
    test_database: str | None = None,
) -> Job[Replayed]:
    """Play the finding again, so many times, on a scratch database; of requests as replay_requests.py says.

    Args:
        wanted: the test to write.
        test_database: as guard takes it.

    Raises:
        UsageError: what the finding is about is not there any more, or the target is of another engine.
        DatabaseError: the server is gone.
    """
    wanted = wanted or Wanted()
    if isinstance(chosen, ChosenRequests):
        return (yield from replay_requests(chosen, target, wanted.pytest_file, times=times, test_database=test_database))
    race = chosen.race
    if chosen.finding.is_served and wanted.pytest_file is None:
        return _replay_served(chosen, target, times=times, test_database=test_database)
    with open_study(
        target, system_on(target, race.system, race.files), chosen.finding, race.files, test_database=test_database
    ) as study:
        replays = study.replay(times)
        differences = study.find_differences(replays[-1])
        if wanted.pytest_file is not None:
            yield export(study, wanted.pytest_file, replay_command=f"integrity replay {chosen.file}")
    return Replayed(chosen.finding.name, names_of(chosen.finding), replays, differences, chosen.finding)


def _replay_served(chosen: ChosenFinding, target: Target, *, times: int, test_database: str | None) -> Replayed:
    """Play a finding again whose calls were requests to the system's own server."""
    from integrity.scenarios.served import open_served

    finding, race = chosen.finding, chosen.race
    bug = race.system.find_bug(finding.bug) if finding.bug else None
    served_race = replace(race, system=system_on(target, race.system, race.files), bug=bug)
    with open_served(target, served_race, test_database=test_database) as served:
        contest = contest_of(finding, served.ground, bug=bug)
        played = play_again(served.stand.scheduler, contest.program(), sought_of_finding(finding), times=times)
        replays = list(played)
    differences = find_differences(finding, contest.system, replays[-1], dropped=contest.dropped)
    return Replayed(finding.name, names_of(finding), replays, differences, finding)
