"""Reading a scenario's file: what is wrong in it is told with file, line, column, value and what was meant.

`${NAME}` is a variable of the environment, as in integrity.toml, but for commands, which a shell reads, and for ${PORT},
which is known when the application starts. Files of race-the-web's words (`[[requests]]`, `count`) are read as well.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from integrity.environment import filled, has_variables
from integrity.errors import UsageError
from integrity.numbers import counted
from integrity.scenarios.scenario import (
    ACTORS_MOST,
    ActorTable,
    App,
    Database,
    Expect,
    Login,
    RequestTable,
    Scenario,
    Setup,
    Volatile,
)
from integrity.scenarios.source import Source
from integrity.scenarios.target import CheckTable, TargetRequestTable, TargetTable
from integrity.suggestion import suggest
from integrity.toml_text import unreadable
from integrity.typed import typed
from integrity.wording import tell_mistake

SCENARIOS_FOLDER = "scenarios"
_MODELS: Mapping[str, type[BaseModel]] = {
    "app": App, "database": Database, "setup": Setup, "login": Login, "actors": ActorTable, "expect": Expect,
    "volatile": Volatile, "requests": RequestTable,
}  # fmt: skip
_OF_TARGETS: Mapping[str, type[BaseModel]] = {
    "targets": TargetTable, "requests": TargetRequestTable, "login": Login, "checks": CheckTable,
}  # fmt: skip
_FREE = ("headers", "cookies", "json", "form", "take", "env", "values")
"""Tables whose names are the user's."""
_OF_RACE_THE_WEB = ("count", "requests", "verbose", "proxy")
_COUNT_OF_OTHERS = 2
"""race-the-web sends a request a hundred times and hopes; of two every order is searched."""
_FOR_A_SHELL = ("command", "shell")


def read_scenario(file: Path, *, environment: Mapping[str, str] | None = None) -> Scenario:
    """Return the scenario that a file says.

    Args:
        environment: for ${NAME}; None: of this process.

    Raises:
        UsageError: it cannot be read, or something in it cannot be used.
    """
    text, given = read_given(file)
    return scenario_of(given, file=file, text=text, environment=environment)


def read_text(text: str, *, file: Path, environment: Mapping[str, str] | None = None) -> Scenario:
    """Return the scenario that a text says; see `read_scenario`."""
    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(error, file, text) from None
    return scenario_of(given, file=file, text=text, environment=environment)


def read_given(file: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a scenario's file, and what it says before anything is filled in.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        there = sorted(each.stem for each in file.parent.glob("*.toml"))
        known = f"There are: {', '.join(there[:8])}. " if there else ""
        hint = suggest(file.stem, there, always=f"{known}`{typed('new scenario NAME')}` writes one.")
        raise UsageError(f"{file}: cannot be read: {reason}", hint=hint) from None
    try:
        return text, tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(error, file, text) from None


def scenario_of(
    given: Mapping[str, Any], *, file: Path, text: str = "", environment: Mapping[str, str] | None = None
) -> Scenario:
    """Return the scenario that tables say; see `read_scenario`.

    Args:
        text: of the file, for places in it.
    """
    source = Source(file, text)
    known = {**(os.environ if environment is None else environment), "PORT": "${PORT}"}
    try:
        scenario = Scenario.model_validate(_filled(_in_our_words(dict(given)), known, source, ()))
    except ValidationError as error:
        raise mistake(error, source) from None
    _check_actors(scenario, source)
    return scenario


def mistake(error: ValidationError, source: Source, above: Sequence[int | str] = ()) -> UsageError:
    """Return, as a sentence, the first thing that is wrong.

    Args:
        above: the path that what was read stands at.
    """
    errors = error.errors(include_url=False, include_input=True)
    first, path = errors[0], _path_of(errors[0], above)
    table, known = _known_at(path)
    if first["type"] == "extra_forbidden":
        always = f"Known in {table}: {', '.join(known)}."
        return source.error(path, "there is no such key", hint=suggest(str(path[-1]), known, always=always))
    is_shown = isinstance(first.get("input"), str | int | float) and not any(part in (*_FREE, "url") for part in path)
    said = tell_mistake([each for each in errors if _path_of(each, above) == path], is_shown=is_shown)
    return source.error(path, said, hint=f"docs/scenarios.md has every key of {table}.")


def _path_of(error: Mapping[str, Any], above: Sequence[int | str]) -> tuple[int | str, ...]:
    return (*above, *(part for part in error["loc"] if not _is_of_union(part)))


def _known_at(path: Sequence[int | str]) -> tuple[str, list[str]]:
    names = [part for part in path[:-1] if isinstance(part, str)]
    models = _OF_TARGETS if names[:1] == ["targets"] else _MODELS
    name = next((each for each in reversed(names) if each in models), "")
    model = models.get(name, Scenario)
    table = {
        "": "a scenario",
        "requests": "a request",
        "actors": "[[actors]]",
        "volatile": "volatile",
        "checks": "a check",
    }.get(name, f"[{name}]")
    return table, [field.alias or each for each, field in model.model_fields.items()]


def _is_of_union(part: int | str) -> bool:
    """Whether a part of a place is pydantic's word for a kind, and none of the file's."""
    return isinstance(part, str) and (part in ("str", "int", "bool", "float") or "[" in part)


def _unreadable(error: Exception, file: Path, text: str) -> UsageError:
    return unreadable(file, text, error, otherwise="A scenario is a TOML file in UTF-8.")


def _filled(given: Any, known: Mapping[str, str], source: Source, path: tuple[int | str, ...]) -> Any:
    """Return values with the variables in them filled in, but for what a shell reads."""
    if isinstance(given, dict):
        return {
            name: each if name in _FOR_A_SHELL else _filled(each, known, source, (*path, name))
            for name, each in given.items()
        }
    if isinstance(given, list):
        return [_filled(each, known, source, (*path, number)) for number, each in enumerate(given)]
    if not has_variables(given):
        return given
    with source.telling(path) as place:
        return filled(given, known, place=place)


def _in_our_words(given: dict[str, Any]) -> dict[str, Any]:
    """Return a file of race-the-web's as a scenario; each of its requests is an actor, twice."""
    requests = given.get("requests")
    if "actors" in given or not isinstance(requests, list) or not all(isinstance(each, dict) for each in requests):
        return given
    count = given.get("count", 1)
    least = 1 if len(requests) > 1 else _COUNT_OF_OTHERS
    count = min(max(count, least), _COUNT_OF_OTHERS) if isinstance(count, int) else count
    others = {name: each for name, each in given.items() if name not in _OF_RACE_THE_WEB}
    return {**others, "actors": [{"requests": [each], "count": count} for each in requests]}


def _check_actors(scenario: Scenario, source: Source) -> None:
    for number, actor in enumerate(scenario.actors):
        if bool(actor.requests) == bool(actor.command):
            said = "both requests and a command" if actor.command else "nothing to do"
            raise source.error(
                ("actors", number),
                f"actors.{number} has {said}",
                hint='Write requests = ["POST /pay {...}"], or command = "...".',
                key=False,
            )
    count = sum(actor.count for actor in scenario.actors)
    if count == 1:
        raise source.error(
            ("actors",), "one actor races nobody", hint="Write count = 2, or a second [[actors]].", key=False
        )
    if count > ACTORS_MOST:
        said = f"{counted(count, 'actor')} are more than {ACTORS_MOST}"
        raise source.error(("actors",), said, hint="Two or three find most.", key=False)
