"""What a scenario says is tried as it is read, every key of it: what cannot be used is told before anything is begun."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.http.request import Request
from integrity.http.statuses import read_statuses
from integrity.http.values import NoValue, check_take, fill
from integrity.scenarios.app import check_address
from integrity.scenarios.requests import read_request
from integrity.scenarios.scenario import RequestTable, Scenario
from integrity.scenarios.source import Source

_Path = tuple[int | str, ...]


def check_scenario(scenario: Scenario, source: Source, *, named: Mapping[str, Request], folder: Path) -> None:
    """Raise UsageError, with its place, at the first thing that cannot be used.

    Args:
        named: requests that integrity.toml declares.
        folder: of the project.
    """
    _check_app(scenario, source)
    _check_setup(scenario, source, folder)
    _check_database(scenario, source)
    with source.telling(("expect", "statuses")) as place:
        read_statuses(scenario.expect.statuses, place=place)
    if scenario.login is not None and scenario.login.bearer is not None:
        with source.telling(("login", "bearer")) as place:
            check_take(scenario.login.bearer, place=place)
    known = set(scenario.values)
    checks = _Checks(source, named, folder, is_open=scenario.setup.python is not None)
    if scenario.login is not None:
        checks.check(scenario.login.requests, ("login", "requests"), known)
    known |= checks.check(scenario.setup.requests, ("setup", "requests"), known)
    for number, actor in enumerate(scenario.actors):
        checks.check(actor.requests, ("actors", number, "requests"), known)


def _check_app(scenario: Scenario, source: Source) -> None:
    app = scenario.app
    if app.url:
        with source.telling(("app", "url")) as place:
            check_address(app, place=place)
    if isinstance(app.ready, str) and not app.ready.isdecimal() and not app.ready.startswith("/"):
        raise source.error(
            ("app", "ready"), f"{app.ready!r} is neither a path nor a port", hint='Write "/health", or a port: 8000.'
        )


def _check_setup(scenario: Scenario, source: Source, folder: Path) -> None:
    said = (scenario.setup.sql or "").strip()
    if said.endswith(".sql") and "\n" not in said and not (folder / said).is_file():
        raise source.error(
            ("setup", "sql"), f"there is no file {said!r}", hint=f"It is looked for in the project's folder, {folder}."
        )


def _check_database(scenario: Scenario, source: Source) -> None:
    if scenario.database.url is None:
        return
    with source.telling(("database", "url")) as found:
        place = found
    try:
        Target.parse(scenario.database.url)
    except UsageError as error:  # without its line: that has the password
        raise UsageError(f"{place}: {error.message}", hint=error.hint) from None


class _Checks:
    def __init__(self, source: Source, named: Mapping[str, Request], folder: Path, *, is_open: bool) -> None:
        self._source, self._named, self._folder = source, named, folder
        self._is_open = is_open  # a function returns values, nobody knows which

    def check(self, tables: Sequence[RequestTable], above: _Path, known: set[str]) -> set[str]:
        """Check requests that are sent one behind the other; return what is known behind them."""
        known = set(known)
        for number, table in enumerate(tables):
            path = (*above, number)
            with self._source.telling(path, table.request.strip() or table.url) as place:
                request = read_request(table, place=place, named=self._named, folder=self._folder)
            if not self._is_open:
                self._check_values(request, path, known)
            known |= request.takes.keys()
        return known

    def _check_values(self, request: Request, path: _Path, known: set[str]) -> None:
        try:
            fill(request, dict.fromkeys(known, ""))
        except NoValue as error:
            said = f"there is no value {error.name}"
            raise self._source.error(path, said, hint=error.hint or "", word=f"{{{error.name}}}") from None
