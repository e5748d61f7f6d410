"""The job of replaying a race of requests: the application is asked again, its statements let go as the finding says.

chosen = choose_requests(project, finding, finding.scenario, file)     # or choose_token(...)
replayed = listen(replay_requests(chosen, target))
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Job, Noted
from integrity.invariants.load import load_invariants
from integrity.jobs.export_requests import check_unedited_of_requests, export_requests
from integrity.jobs.kept_scenario import tell_changes
from integrity.jobs.request_race import RequestRace
from integrity.jobs.site import open_site
from integrity.project import Project
from integrity.race.finding.finding import Finding, names_of, read_finding
from integrity.race.finding.replay import Sought, compare_statements, replay, sought_of_finding, sought_of_token
from integrity.race.finding.scenario_record import ScenarioRecord
from integrity.race.finding.token import Token, describe_code
from integrity.race.judge.judge import EXPECTED
from integrity.race.raced import Replayed
from integrity.race.search.least import Cast
from integrity.scenarios.reading import SCENARIOS_FOLDER
from integrity.scenarios.subject import (
    RequestSubject,
    cast_of,
    find_subject,
    subject_of_file,
    subject_of_record,
)


@dataclass(frozen=True, slots=True)
class ChosenRequests:
    """What is to be replayed, before the database is known.

    Args:
        name: of the finding.
        cast: the actors that it needs, and their requests.
        failures: what goes wrong in it, in words.
        finding: None: a token says all there is.
        changed: what is another one since.
    """

    name: str
    subject: RequestSubject
    cast: Cast
    sought: Sought
    failures: Sequence[str]
    finding: Finding | None = None
    changed: Sequence[str] = ()
    project: Project = field(kw_only=True)


def choose_requests(project: Project, finding: Finding, record: ScenarioRecord, file: Path) -> ChosenRequests:
    """Return a finding of requests; it is played as its scenario was then.

    Raises:
        UsageError: its scenario cannot be used here.
    """
    if record.is_of_functions:
        raise UsageError(
            f"{file}: it is of functions, which their own test calls",
            hint=f"race.replay({str(file)!r}, {', '.join(record.given['calls'])}).holds()",
        )
    if record.is_of_pass:
        raise UsageError(
            f"{file}: it is of transactions of a recorded pass, and the next pass may have other values",
            hint="integrity race --learn --pytest FILE -- COMMAND writes such statements as a test, where rows show it.",
        )
    subject = subject_of_record(project, record)
    changed = tell_changes(project, record, subject)
    _check_cast(record.kept, subject, str(file))
    cast = record.kept or cast_of(subject.scenario)
    return ChosenRequests(
        finding.name, subject, cast, sought_of_finding(finding), names_of(finding), finding, changed, project=project
    )


def choose_token(project: Project, token: Token, kept: Path) -> ChosenRequests:
    """Return what a token says, with the scenario that it is of: a file of the project, or one in a finding that is kept.

    Args:
        kept: the folder of findings.

    Raises:
        UsageError: there is no such scenario here, or it is another one by now.
    """
    subject = next((each for each in _subjects(project, token, kept) if token.is_of(each.record.name)), None)
    if subject is None:
        raise _unknown(project, token, [each.record.name for each in _subjects(project, token, kept)])
    all_of = dict(cast_of(subject.scenario))
    cast = tuple((number, all_of.get(number, ()) if of is None else of) for number, of in token.kept)
    _check_cast(cast, subject, "the token")
    cast = cast or cast_of(subject.scenario)
    checks = (EXPECTED, *load_invariants(project, is_own_only=True))
    failures = sorted(describe_code(each, checks) for each in token.failures)
    return ChosenRequests(str(token), subject, cast, sought_of_token(token), failures, project=project)


def replay_requests(
    chosen: ChosenRequests,
    target: Target,
    pytest_file: Path | None = None,
    *,
    times: int = 1,
    test_database: str | None = None,
) -> Job[Replayed]:
    """Start the application, or take the one that runs, and play the schedule again, so many times.

    Args:
        pytest_file: the test to write.

    Raises:
        UsageError, UnsafeDatabase, DatabaseError: as `open_site` says.
    """
    if pytest_file is not None and chosen.finding is None:
        raise UsageError(
            "--pytest writes a finding's statements into the test, and a token has none",
            hint="Name the finding's file, or find the race anew: integrity race --scenario NAME --pytest FILE",
        )
    if pytest_file is not None:
        check_unedited_of_requests(pytest_file)
    declared = chosen.project.settings.database.test if test_database is None else test_database
    settings = RequestRace(is_strict=chosen.sought.is_strict, test_database=declared)
    yield from map(Noted, chosen.changed)
    with ExitStack() as stack:
        site = yield from open_site(chosen.subject, target, chosen.project, settings, stack)
        replays = list(replay(site.stand.scheduler, site.program(chosen.cast), chosen.sought, times=times))
        if pytest_file is not None and chosen.finding is not None:
            yield from export_requests(site, chosen.finding, pytest_file, replay_command=f"integrity replay {chosen.name}")
    differences = [*chosen.changed, *(compare_statements(chosen.finding, replays[-1]) if chosen.finding else ())]
    seen = tuple(dict.fromkeys(name for each in replays for name in each.names))  # a token knows kinds, and no names
    failures = chosen.failures if chosen.finding else seen or chosen.failures
    return Replayed(chosen.name, failures, replays, differences, chosen.finding)


def _subjects(project: Project, token: Token, kept: Path) -> Iterator[RequestSubject]:
    """Yield the scenarios that have a token's digest, those of its name first."""
    files = sorted((project.folder / SCENARIOS_FOLDER).glob("*.toml"), key=lambda file: not token.is_of(file.stem))
    for file in files:
        try:
            subject = find_subject(project, file.stem, token.digest)
        except UsageError:
            if token.is_of(file.stem):
                raise
            continue  # of another name, and a mistake of its own
        if subject is not None:
            yield subject
    for file in sorted(kept.glob("*.json")):
        try:
            record = read_finding(file).scenario
        except UsageError:  # of another version, or changed by hand: `replay` of that file says so
            continue
        if record is not None and record.is_of_requests and record.digest == token.digest:
            yield subject_of_record(project, record)


def _unknown(project: Project, token: Token, alike: Sequence[str]) -> UsageError:
    """Return why a token can be played by nothing here.

    Args:
        alike: names of scenarios that have its digest.
    """
    if alike:
        meant = replace(token, name=alike[0])
        what = f"scenarios/{alike[0]}.toml" if alike[0] else "curl lines"
        of = f"named {token.name}" if token.name else "of curl lines"
        return UsageError(f"the token is {of}, and its digest is that of {what}", hint=f"Perhaps you meant {meant}.")
    named = [each for each in (project.folder / SCENARIOS_FOLDER).glob("*.toml") if token.is_of(each.stem)]
    if named:
        now = subject_of_file(project, named[0].stem).record.digest
        return UsageError(
            f"{named[0]}: it is another scenario than the token is of: {now}, not {token.digest}",
            hint=f"Take it as it was when the race was found, or find it anew: integrity race --scenario {named[0].stem}",
        )
    what = f"scenarios/{token.name}.toml, or of functions of these names," if token.name else "curl lines"
    return UsageError(
        f"the token is of {what} ({token.digest}), and no scenario here is that",
        hint="Replay it where the scenario is, or the finding's file (integrity replay FILE); of functions in their test: "
        "race.replay(TOKEN, pay, pay).holds()",
    )


def _check_cast(cast: Cast, subject: RequestSubject, place: str) -> None:
    known = dict(cast_of(subject.scenario))
    if any(number not in known or not set(of) <= set(known[number]) for number, of in cast):
        raise UsageError(
            f"{place}: it names an actor or a request that {subject.place} does not have", hint="Find the race anew."
        )
