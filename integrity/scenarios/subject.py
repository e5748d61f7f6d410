"""What is raced of an application: a scenario, of its file, of curl lines, or of a finding that carries it.

subject = subject_of_file(project, "buy")
subject = subject_of_curl(project, ["curl -X POST http://127.0.0.1:8000/buy"], "", "flask run -p $PORT", count=2)
subject = subject_of_record(project, finding.scenario)
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson

from integrity.engines.target import Target
from integrity.engines.values import from_json, json_of
from integrity.environment import filled
from integrity.errors import UsageError
from integrity.http.curl import read_curl
from integrity.http.request import Request
from integrity.http.secrets import Secrets
from integrity.http.values import places_in
from integrity.project import SETTINGS_FILE, Project
from integrity.race.finding.scenario_record import ScenarioRecord
from integrity.race.search.least import Cast
from integrity.scenarios.checking import check_scenario
from integrity.scenarios.reading import SCENARIOS_FOLDER, read_given, scenario_of
from integrity.scenarios.requests import declared_requests
from integrity.scenarios.scenario import ActorTable, Scenario
from integrity.scenarios.source import Source

_RACED = ("values", "setup", "login", "actors", "expect", "requests", "files")
_DIGITS = 12
_OF_CURL = "--curl"


def database_of(scenario: Scenario, target: Target) -> Target:
    """Return the database that a scenario means on the server of a target: the one that it names there, else the target."""
    name = scenario.database.name
    return target if name is None else Target(target.url.set(database=name))


@dataclass(frozen=True, slots=True)
class RequestSubject:
    """See the module.

    Args:
        place: of the scenario, for messages.
        named: requests that it may name.
        secrets: in it.
    """

    place: str
    scenario: Scenario
    named: Mapping[str, Request]
    record: ScenarioRecord
    secrets: frozenset[str] = field(default_factory=frozenset, repr=False)


def subject_of_file(project: Project, name: str, *, is_of_pairs: bool = False) -> RequestSubject:
    """Return what scenarios/NAME.toml says.

    Args:
        is_of_pairs: without what it expects of all actors together: of two of several kinds that says nothing.

    Raises:
        UsageError: it cannot be read, or something in it cannot be used.
    """
    file = scenario_file(project, name)
    text, given = read_given(file)
    scenario = scenario_of(given, file=file, text=text)
    if is_of_pairs and len(scenario.actors) > 1 and scenario.expect.exactly_one is not None:
        given["expect"] = {key: each for key, each in given["expect"].items() if key != "exactly_one"}
        scenario = scenario_of(given, file=file, text=text)
    place = f"{SCENARIOS_FOLDER}/{file.name}"
    return _subject(project, scenario, given, name=file.stem, place=place, source=Source(file, text))


def find_subject(project: Project, name: str, digest: str) -> RequestSubject | None:
    """Return what scenarios/NAME.toml says, of all actors or of pairs, where that is what the digest is of.

    Raises:
        UsageError: as subject_of_file.
    """
    for is_of_pairs in (False, True):
        subject = subject_of_file(project, name, is_of_pairs=is_of_pairs)
        if subject.record.digest == digest:
            return subject
    return None


def scenario_file(project: Project, name: str) -> Path:
    """Return the file of a scenario, which need not be there."""
    return project.folder / SCENARIOS_FOLDER / f"{name.removesuffix('.toml')}.toml"


def subject_of_curl(
    project: Project, lines: Sequence[str], url: str, command: str, *, count: int, commands: Sequence[str] = ()
) -> RequestSubject:
    """Return what a command line says.

    Args:
        lines: each an actor, at the application's address whatever theirs is.
        commands: each an actor, behind them. One actor alone is made `count` times.

    Raises:
        UsageError: a line cannot be read.
    """
    read = [read_curl(line, folder=project.folder) for line in lines]
    times = count if len(lines) + len(commands) == 1 else 1
    actors: list[dict[str, Any]] = [
        {
            "name": request.shown.replace(_address_of(request.url), ""),
            "requests": [_without_address(line, request).replace("${", "$${")],
            "count": times,
        }
        for line, request in zip(lines, read, strict=True)
    ]
    actors += [{"command": each, "count": times} for each in commands]
    app = {"command": command, "url": url or ("" if command or not read else _address_of(read[0].url))}
    given = {"app": {key: value for key, value in app.items() if value}, "actors": actors}
    strict = {name for each in read for text in (each.url, *dict(each.headers).values()) for name in places_in(text)}
    if literal := {name: f"{{{name}}}" for line in lines for name in places_in(line) if name not in strict}:
        given["values"] = literal  # a body that was pasted is sent as it stands
    scenario = scenario_of(given, file=Path(_OF_CURL))
    return _subject(project, scenario, given, name="", place=_OF_CURL, source=Source(Path(_OF_CURL)))


def subject_of_record(project: Project, record: ScenarioRecord) -> RequestSubject:
    """Return what a finding says; as its file says it, where that says the same: it has the secrets.

    Raises:
        UsageError: a variable that stands for a secret is not set.
    """
    if record.name and scenario_file(project, record.name).is_file():
        with suppress(UsageError):  # the file says it no more: what was kept does
            subject = find_subject(project, record.name, record.digest)
            if subject is not None:
                return subject
    given = _as_given(record.given)
    file = Path(record.shown)
    tables = {"recorded": {"requests": _as_given(record.requests)}} if record.requests else {}
    scenario = scenario_of(given, file=file)
    named = declared_requests(filled(tables, os.environ, place=f"{file}: "), file=file)
    secrets = frozenset(os.environ[name] for name in record.variables if name in os.environ)
    return RequestSubject(record.shown, scenario, named, record, secrets)


def part_of(scenario: Scenario, cast: Cast, *, names: Sequence[str]) -> Scenario:
    """Return the scenario of some of its actors, with some of their requests.

    Args:
        names: of all actors, as the scenario has them.
    """
    all_actors = [actor for actor in scenario.actors for _ in range(actor.count)]
    actors = [
        ActorTable(
            name=names[number],
            command=all_actors[number].command,
            requests=[all_actors[number].requests[place] for place in places],
        )
        for number, places in cast
    ]
    return scenario.model_copy(update={"actors": actors})


def cast_of(scenario: Scenario) -> Cast:
    """Return all of its actors, with all of their requests."""
    all_actors = [actor for actor in scenario.actors for _ in range(actor.count)]
    return tuple((number, tuple(range(len(actor.requests)))) for number, actor in enumerate(all_actors))


def _subject(
    project: Project, scenario: Scenario, given: Mapping[str, Any], *, name: str, place: str, source: Source
) -> RequestSubject:
    targets = project.settings.targets
    named = declared_requests(targets, file=project.folder / SETTINGS_FILE)
    check_scenario(scenario, source, named=named, folder=project.folder)
    secrets = Secrets()
    shown = secrets.taken_out({key: each for key, each in given.items() if key != "database"})
    if scenario.app.commit:
        shown["app"]["commit"] = scenario.app.commit  # a variable of the environment, often: as it was
    declared = _declared(targets, _lines_of(scenario))
    requests = secrets.taken_out(declared)
    files = _files_of(project, scenario)
    set_in = Secrets()  # those that variables of the environment hold
    set_in.taken_out(scenario.model_dump(mode="json"))
    set_in.taken_out(declared)
    raced = {
        key: each for key, each in {**shown, "requests": requests, "files": files}.items() if key in (*_RACED, "files")
    }
    record = ScenarioRecord(
        name=name,
        digest=hashlib.sha256(orjson.dumps(_plain(raced), option=orjson.OPT_SORT_KEYS)).hexdigest()[:_DIGITS],
        given=_plain(shown),
        requests=_plain(requests),
        files=files,
        variables=tuple(secrets.values),
    )
    return RequestSubject(place, scenario, named, record, frozenset([*secrets.values.values(), *set_in.values.values()]))


def _lines_of(scenario: Scenario) -> set[str]:
    login = scenario.login.requests if scenario.login else []
    tables = [*scenario.setup.requests, *login, *(each for actor in scenario.actors for each in actor.requests)]
    return {table.request.strip() for table in tables}


def _declared(targets: Mapping[str, Mapping[str, Any]], lines: set[str]) -> dict[str, Any]:
    """Return the requests of integrity.toml that are named, as tables, by the names that are used."""
    found: dict[str, Any] = {}
    for target, section in targets.items():
        for name, table in section.get("requests", {}).items():
            found |= {line: table for line in (name, f"{target}.{name}") if line in lines}
    return found


def _files_of(project: Project, scenario: Scenario) -> dict[str, str]:
    """Return the file of SQL that the setup names, with its hash."""
    said = (scenario.setup.sql or "").strip()
    file = project.folder / said
    if not said.endswith(".sql") or "\n" in said or not file.is_file():
        return {}
    return {said: hashlib.sha256(file.read_bytes()).hexdigest()[:_DIGITS]}


def _address_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _without_address(line: str, request: Request) -> str:
    """Return a curl line whose URL is a path at the application's address.

    Raises:
        UsageError: its address is spelt in a way that cannot be taken out.
    """
    parts = urlsplit(request.url)
    path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    for address in (_address_of(request.url), parts.netloc):
        at = line.find(address) if address else -1
        rest = line[at + len(address) :]
        if at >= 0:
            changed = f"{line[:at]}{'' if rest.startswith('/') else '/'}{rest}"
            if read_curl(changed).url == path:
                return changed
    if request.url.startswith("/"):
        return line
    raise UsageError(
        "--curl: its URL cannot be read as an address and a path", hint="Paste it as http://127.0.0.1:8000/pay."
    )


def _plain(value: Any) -> Any:
    """Return tables as JSON has them; what it lacks, e.g. a time, as {"$kind": ...}."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return json_of(value)


def _as_given(value: Any) -> Any:
    """Return what `_plain` was given."""
    if isinstance(value, Mapping):
        is_kind = len(value) == 1 and next(iter(value)).startswith("$")
        return from_json(value) if is_kind else {name: _as_given(each) for name, each in value.items()}
    return [_as_given(each) for each in value] if isinstance(value, list | tuple) else value
