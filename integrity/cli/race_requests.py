"""The half of `integrity race` that asks an application."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrity.cli.options import open_target

if TYPE_CHECKING:
    from integrity.http.request import Request
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

    @property
    def is_anything(self) -> bool:
        """An application is raced, and no operations."""
        return bool(self.url or self.curls or self.command or self.scenario is not None)


def race_asked(
    asked: Asked,
    settings: "RaceSettings",
    project: "Project",
    *,
    database: str | None,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Race the requests, print what came out, and return the exit code.

    Raises:
        AuditError: what race_requests raises; the words do not go together.
    """
    from integrity.errors import UsageError
    from integrity.events import listen
    from integrity.jobs.race_requests import RequestRace, from_curl, race_requests
    from integrity.report.progress import open_bar, write_notes
    from integrity.report.requests_text import write_requests
    from integrity.scenarios.reading import read_scenario

    if asked.names:
        raise UsageError(
            f"{' '.join(asked.names)}: operations are raced by name, requests by --app or --scenario",
            hint="Leave one of the two out.",
        )
    if asked.scenario is None and not asked.curls:
        raise UsageError(
            "--app says where the application is, and no request to race",
            hint="Paste one: --curl 'curl -X POST http://127.0.0.1:8000/pay -d amount=5'",
        )
    if asked.scenario is not None:
        file = project.folder / "scenarios" / f"{asked.scenario.removesuffix('.toml')}.toml"
        scenario, name = read_scenario(file), f"scenarios/{file.name}"
        named: dict[str, Request] = {}
    else:
        scenario, named = from_curl(asked.curls, asked.url, asked.command, count=asked.count)
        name = "--curl"
    given = scenario.database.url if database is None else database
    target = open_target(project, given)
    declared = project.settings.database.test if test_database is None else test_database
    far = RequestRace(
        settings.preemptions, settings.schedules, settings.seconds, settings.seed, is_strict=settings.is_strict
    )
    racing = race_requests(scenario, target, project, far, name=name, named=named, test_database=declared)
    with open_bar() as bar:
        raced = listen(racing, bar, write_notes)
    write_requests(raced, is_json=is_json)
    return raced.exit_code
