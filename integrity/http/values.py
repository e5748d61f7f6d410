"""Values taken from an answer, and put into later requests where `{name}` stands.

    $.data[0].id         JSON: a path of names and numbers; [-1] is the last
    header Location      a header
    regex id=(\\d+)       what the first group matches in the body, or the whole match

A value is spelt as the place needs it where it is put: in a URL and in a form percent-encoded, in JSON text escaped.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote as encode
from urllib.parse import quote_plus

from integrity.errors import UsageError, quote
from integrity.http.answer import Answer
from integrity.http.request import FORM_TYPE, JSON_TYPE, Json, Part, Parts, Raw, Request
from integrity.suggestion import suggest


class NoValue(UsageError):
    """A name in a request that no value has."""

    def __init__(self, place: str, name: str, *, hint: str) -> None:
        super().__init__(f"{place}: there is no value {name}", hint=hint)
        self.name = name


Values = Mapping[str, Any]
"""By name: texts, numbers, booleans, None; what JSON has."""

NAME = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*){0,2}"
"""With dots: a column of the database's, `wallets.id`."""
_PLACE = re.compile(rf"\{{({NAME})\}}")
_QUERY = re.compile(r'"query"\s*:\s*"(?:[^"\\]|\\.)*"|(?:^|&)query=[^&]*')
"""A query of GraphQL in a body: braces in it are its own, `{id}` asks for the field id."""
_GRAPHQL_TYPE = "application/graphql"
_KINDS = {str: "a text", bool: "true or false", type(None): "null"}
_STEP = re.compile(r"""\.([^.\[\]]+)|\[(-?\d+)\]|\[(?:'([^']*)'|"([^"]*)")\]""")
HINT = 'Write "$.data[0].id" (JSON), "header Location" or "regex token=(\\\\w+)".'


def check_take(spelling: str, *, place: str) -> None:
    """Raise UsageError unless it says where in an answer a value is."""
    kind, _, rest = spelling.strip().partition(" ")
    if spelling.strip().startswith("$"):
        _steps(spelling.strip(), place)
    elif kind == "regex" and rest.strip():
        try:
            re.compile(rest.strip())
        except re.error as error:
            raise UsageError(f"{place}: {quote(rest.strip())} is no regular expression: {error}", hint=HINT) from None
    elif kind != "header" or not rest.strip():
        raise UsageError(f"{place}: {quote(spelling)} says nothing about where a value is", hint=HINT)


def take(answer: Answer, takes: Mapping[str, str], *, place: str) -> dict[str, Any]:
    """Return the values that an answer gives.

    Args:
        takes: name -> where its value is.
        place: whose answer it is, e.g. "GET /wallets".

    Raises:
        UsageError: one is not there.
    """
    return {name: _take_one(answer, spelling.strip(), f"{place}: {name}") for name, spelling in takes.items()}


def find(answer: Answer, spelling: str) -> tuple[Any, ...]:
    """Return the value that is there in an answer, alone; nothing where it is not."""
    try:
        return (_take_one(answer, spelling.strip(), "answer"),)
    except UsageError:
        return ()


def names_in(request: Request) -> list[str]:
    """Return the names that stand in a request's places for values, each once."""
    found: dict[str, None] = {}

    class _Noting(dict[str, Any]):
        def __contains__(self, name: object) -> bool:
            found.setdefault(str(name))
            return True

        def __getitem__(self, name: str) -> Any:
            return f"{{{name}}}"

    fill(request, _Noting())
    return list(found)


def _take_one(answer: Answer, spelling: str, place: str) -> Any:
    if spelling.startswith("$"):
        return _take_json(answer, spelling, place)
    kind, _, rest = spelling.partition(" ")
    rest = rest.strip()
    if kind == "header":
        if rest.lower() not in answer.headers:
            names = ", ".join(sorted(answer.headers))
            raise UsageError(
                f"{place}: the answer ({answer.status}) has no header {rest}",
                hint=suggest(rest.lower(), answer.headers, always=f"It has {names}."),
            )
        return answer.headers[rest.lower()]
    check_take(spelling, place=place)
    found = re.search(rest, answer.text)
    if found is None:
        raise UsageError(
            f"{place}: nothing in the answer ({answer.status}, {len(answer.text):,} letters) matches {quote(rest)}",
            hint="Look at what the application answers: curl -i.",
        )
    return found[1] if found.re.groups else found[0]


def _take_json(answer: Answer, spelling: str, place: str) -> Any:
    steps = _steps(spelling, place)
    try:
        here: Any = answer.json()
    except ValueError:
        kind = answer.content_type or "of no type"
        raise UsageError(
            f"{place}: the answer ({answer.status}, {kind}) is no JSON", hint="Take it by a header or a regular expression."
        ) from None
    path = "$"
    for step in steps:
        try:
            here = _inside(here, step)
        except LookupError:
            raise UsageError(
                f"{place}: {spelling}: there is no {step} in {path}, which is {_describe(here)} ({answer.status})",
                hint=suggest(str(step), here if isinstance(here, dict) else (), otherwise="Mend the path."),
            ) from None
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return here


def _inside(value: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return value[step] if isinstance(value, list) else _nothing()
    return value[step] if isinstance(value, dict) else _nothing()


def _nothing() -> Any:
    raise LookupError


def _steps(spelling: str, place: str) -> list[str | int]:
    steps: list[str | int] = []
    at = 1
    while at < len(spelling):
        found = _STEP.match(spelling, at)
        if found is None:
            raise UsageError(f"{place}: {quote(spelling)} cannot be read from {quote(spelling[at:])} on", hint=HINT)
        number = found[2]
        steps.append(int(number) if number is not None else next(each for each in found.group(1, 3, 4) if each is not None))
        at = found.end()
    return steps


def _describe(value: Any) -> str:
    if isinstance(value, dict):
        names = ", ".join(list(value)[:8])
        return f"an object with {names}" if value else "an object with nothing in it"
    return f"a list of {len(value)}" if isinstance(value, list) else _KINDS.get(type(value), "a number")


def places_in(text: str) -> list[str]:
    """Return the names in braces in a text, each once."""
    return list(dict.fromkeys(_PLACE.findall(text)))


def fill(request: Request, values: Values) -> Request:
    """Return a request with the values in it.

    Each name must be known. In a query of GraphQL what is not known stays, unless a known name is spelt nearly so.

    Raises:
        UsageError: there is no such value.
    """
    place = request.shown
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    spell = {FORM_TYPE: _in_form, JSON_TYPE: _in_json}.get(kind, _text)
    return replace(
        request,
        url=_fill_text(request.url, values, _in_url, place),
        headers=tuple((name, _fill_text(value, values, _text, f"{place}: {name}")) for name, value in request.headers),
        body=_fill_body(request.body, values, spell, place, is_query=kind == _GRAPHQL_TYPE),
    )


def _fill_body(
    body: Json | Raw | Parts | None, values: Values, spell: Callable[[Any], str], place: str, *, is_query: bool
) -> Json | Raw | Parts | None:
    match body:
        case Json(value):
            return Json(_fill_json(value, values, place))
        case Raw(str(text)):
            return Raw(_fill_around_queries(text, values, spell, place, is_query=is_query))
        case Parts(parts):
            return Parts(tuple(_fill_part(part, values, place) for part in parts))
        case _:
            return body


def _fill_part(part: Part, values: Values, place: str) -> Part:
    if isinstance(part.content, bytes):
        return part
    return replace(part, content=_fill_around_queries(part.content, values, _text, place, is_query=part.name == "query"))


def _fill_json(value: Any, values: Values, place: str, *, is_query: bool = False) -> Any:
    if isinstance(value, str):
        alone = _PLACE.fullmatch(value)
        known = alone is not None and alone[1] in values
        return values[value[1:-1]] if known else _fill_text(value, values, _text, place, is_query=is_query)
    if isinstance(value, dict):
        return {name: _fill_json(each, values, place, is_query=name == "query") for name, each in value.items()}
    if isinstance(value, list):
        return [_fill_json(each, values, place) for each in value]
    return value


def _fill_around_queries(text: str, values: Values, spell: Callable[[Any], str], place: str, *, is_query: bool) -> str:
    """Return a text of JSON, a form or what it may be with the values in it; `is_query`: the whole of it is a query."""
    filled, at = "", 0
    for query in _QUERY.finditer(text):
        filled += _fill_text(text[at : query.start()], values, spell, place, is_query=is_query)
        filled += _fill_text(query[0], values, spell, place, is_query=True)
        at = query.end()
    return filled + _fill_text(text[at:], values, spell, place, is_query=is_query)


def _fill_text(text: str, values: Values, spell: Callable[[Any], str], place: str, *, is_query: bool = False) -> str:
    def spelling(found: re.Match[str]) -> str:
        name = found[1]
        if name in values:
            return found[0] if values[name] == found[0] else spell(values[name])
        meant = suggest(name, values)
        is_shells = found.string[: found.start()].endswith("$")  # ${HOME}
        if (is_query or is_shells) and not meant:
            return found[0]
        known = f"Known: {', '.join(values)}." if values else "None is: [values] has some, `take` of a request makes some."
        as_it_stands = f'To send {found[0]} as it stands, write [values] {name} = "{found[0]}".'
        raise NoValue(place, name, hint=" ".join(filter(None, (meant, known, "" if meant else as_it_stands))))

    return _PLACE.sub(spelling, text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _in_url(value: Any) -> str:
    return encode(_text(value), safe="")


def _in_form(value: Any) -> str:
    return quote_plus(_text(value))


def _in_json(value: Any) -> str:
    return json.dumps(value)[1:-1] if isinstance(value, str) else json.dumps(value)
