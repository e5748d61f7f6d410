"""The half of `integrity race` that asks an application."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrity.cli.options import open_target

if TYPE_CHECKING:
    from integrity.jobs.findings import Wanted
    from integrity.project import Project
    from integrity.race.search.settings import RaceSettings


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says of an application and its requests."""

    url: str
    curls: tuple[str, ...]
    count: int
    command: str
    scenario: str | None
    names: tuple[str, ...]
    actors: tuple[str, ...] = ()
    learnt: str | None = None
    is_json: bool = False
    is_mutating: bool = False
    is_served: bool = False

    @property
    def has_others(self) -> bool:
        """Something beside what is learnt is said."""
        return bool(self.scenario is not None or self.url or self.curls or self.actors or self.command)

    @property
    def is_anything(self) -> bool:
        """An application is raced, and no operations."""
        return self.has_others or self.learnt is not None


def race_asked(
    asked: Asked,
    settings: "RaceSettings",
    project: "Project",
    wanted: "Wanted",
    *,
    database: str | None,
    test_database: str | None,
) -> int:
    """Race the requests, print what came out, and return the exit code.

    Raises:
        AuditError: what race_requests raises; the words do not go together.
    """
    from integrity.errors import UsageError
    from integrity.events import listen
    from integrity.jobs.learn import learn
    from integrity.jobs.race_requests import mutate_requests, race_requests
    from integrity.jobs.request_race import RequestRace
    from integrity.jobs.wanted import telling
    from integrity.report.learned_text import write_learned
    from integrity.report.progress import open_bar, write_notes
    from integrity.report.race_output import note_mutation, write_mutated
    from integrity.report.requests_text import write_requests
    from integrity.scenarios.subject import database_of, subject_of_curl, subject_of_file

    if asked.is_served:
        raise UsageError(
            "--served makes the calls of a system's operations, and an application's requests are over HTTP anyway",
            hint="Leave --served out, or name a system and its operations.",
        )
    if asked.learnt == "":
        return _learn_pass(asked, settings, project, wanted, database=database)
    if asked.names:
        raise UsageError(
            f"{' '.join(asked.names)}: operations are raced by name, requests by --app or --scenario, commands by --actor",
            hint="Leave all but one out.",
        )
    if asked.scenario is None and asked.learnt is None and not asked.curls and not asked.actors:
        said = "--app says where the application is" if asked.url else "--command says how the application is started"
        raise UsageError(
            f"{said}, and no request to race",
            hint="Paste one: --curl 'curl -X POST http://127.0.0.1:8000/pay -d amount=5'",
        )
    if asked.learnt is not None and (asked.has_others or asked.is_mutating):
        raise UsageError(
            f"--learn {asked.learnt} goes with no other application, request, scenario or --mutate",
            hint=f"Leave all but one out: integrity race --learn {asked.learnt}",
        )
    if (scenario := asked.scenario or asked.learnt) is not None:
        subject = subject_of_file(project, scenario, is_of_pairs=asked.learnt is not None)
    else:
        subject = subject_of_curl(project, asked.curls, asked.url, asked.command, count=asked.count, commands=asked.actors)
    named = open_target(project, subject.scenario.database.url if database is None else database)
    target = named if database is not None else database_of(subject.scenario, named)
    declared = project.settings.database.test if test_database is None else test_database
    far = RequestRace(
        settings.preemptions,
        settings.schedules,
        settings.seconds,
        settings.seed,
        is_strict=settings.is_strict,
        test_database=declared,
    )
    if asked.is_mutating:
        mutating = mutate_requests(subject, target, project, far)
        mutated = listen(mutating, note_mutation, write_notes)
        write_mutated(mutated, is_json=asked.is_json)
        return mutated.exit_code
    if asked.learnt is not None:
        with open_bar() as bar:
            learned = listen(telling(learn(subject, target, project, far, wanted), wanted), bar, write_notes)
        write_learned(learned, is_json=asked.is_json)
        return learned.exit_code
    racing = race_requests(subject, target, project, far, wanted)
    with open_bar() as bar:
        raced = listen(telling(racing, wanted), bar, write_notes)
    write_requests(raced, is_json=asked.is_json)
    return raced.exit_code


def _learn_pass(
    asked: Asked, settings: "RaceSettings", project: "Project", wanted: "Wanted", *, database: str | None
) -> int:
    """Record the suite that the words are, race the pairs of its transactions that meet, and return the exit code.

    Raises:
        AuditError: what learn_pass raises; there is no command.
    """
    from pathlib import Path

    from integrity.errors import UsageError
    from integrity.events import Noted, listen
    from integrity.jobs.learn_pass import learn_pass
    from integrity.jobs.pass_recording import recording, run_command
    from integrity.jobs.request_race import RequestRace
    from integrity.jobs.wanted import telling
    from integrity.report.learned_pass_text import write_pass
    from integrity.report.progress import open_bar, write_notes

    if not asked.names:
        raise UsageError(
            "--learn names no scenario, and no command that runs tests",
            hint="integrity race --learn shop, for scenarios/shop.toml; or integrity race --learn -- pytest tests",
        )
    if asked.has_others or asked.is_mutating:
        raise UsageError(
            "--learn -- goes with no application, request, scenario or --mutate",
            hint=f"Leave all but the command out: integrity race --learn -- {asked.names[0]}",
        )
    target = open_target(project, database)
    far = RequestRace(settings.preemptions, settings.schedules, settings.seconds, settings.seed)
    with recording(target) as recorded:
        code = run_command(asked.names, recorded, Path.cwd())
    if code:
        write_notes(Noted(f"{asked.names[0]} ended with {code}: what its tests did up to there is raced"))
    with open_bar() as bar:
        learned = listen(telling(learn_pass(recorded, target, project, far, wanted), wanted), bar, write_notes)
    write_pass(learned, is_json=asked.is_json)
    return learned.exit_code
