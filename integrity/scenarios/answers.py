"""What an answer means: 2xx and 3xx took effect, 4xx is a no of the application's, 5xx and silence are failures."""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from integrity.errors import AuditError
from integrity.http.answer import Answer, Unanswered
from integrity.http.statuses import read_statuses
from integrity.operation import Declined, Ok
from integrity.race.program.trace import Failed, Return
from integrity.scenarios.scenario import Expect
from integrity.verdict import Verdict

NO_ANSWER = "no answer"
FIELDS_MOST = 40
WORDS_MOST = 60
_WORDS = ("error", "code", "detail", "message", "reason", "title", "errors", "non_field_errors", "msg")


def as_return(outcome: Answer | Unanswered | AuditError, *, volatile: Sequence[str] = ()) -> Return:
    """Return what a call came to.

    Args:
        volatile: fields of answers that differ from run to run: names, paths, or patterns of those.
    """
    if not isinstance(outcome, Answer):
        said = outcome.message if isinstance(outcome, AuditError) else str(outcome)
        return Failed(None, f"{NO_ANSWER}: {said}")
    if outcome.status < 400:
        return Ok({"status": outcome.status, **_fields(outcome, volatile)})
    said = f"{outcome.status} {words_of(outcome)}"
    return Declined(said) if outcome.status < 500 else Failed(None, said)


def status_of(returned: Return) -> int | None:
    """Return the status that a call was answered with; None: it was not answered."""
    if isinstance(returned, Ok):
        status = returned.value.get("status")
        return status if isinstance(status, int) else None
    found = re.match(r"([1-5]\d\d) ", returned.reason)
    return int(found[1]) if found else None


def words_of(answer: Answer) -> str:
    """Return in a few words why an application says no, of what it says first; else the status' own words."""
    said = ""
    try:
        said = _first_words(answer.json()) if answer.text else ""
    except ValueError:
        if answer.content_type == "text/html":
            title = re.search(r"<(title|h1)[^>]*>(.*?)</\1>", answer.text, re.DOTALL | re.IGNORECASE)
            said = re.sub(r"<[^>]*>", " ", title[2]) if title else ""
        elif answer.content_type in ("text/plain", ""):
            said = answer.text
    said = re.sub(rf"^{answer.status}\b[\s:.-]*", "", " ".join(said.split()))  # a page's title often begins with it
    if len(said) > WORDS_MOST:
        said = said[:WORDS_MOST].rpartition(" ")[0] or said[:WORDS_MOST]
    if said:
        return said
    try:
        return HTTPStatus(answer.status).phrase
    except ValueError:
        return "without a word"


def _first_words(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return next((said for said in map(_first_words, value) if said), "")
    if isinstance(value, dict):
        named = [value[name] for name in _WORDS if name in value]
        return next((said for said in map(_first_words, [*named, *value.values()]) if said), "")
    return ""


def _fields(answer: Answer, volatile: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a body of JSON by their paths, a list whole; of another body none, of a redirect where it
    points to."""
    fields: dict[str, Any] = {}
    if answer.status >= 300 and "location" in answer.headers and not _is_volatile("location", volatile):
        fields["location"] = answer.headers["location"]
    try:
        _flatten("", _steady("", answer.json(), volatile), fields)
    except ValueError:
        return fields
    return dict(list(fields.items())[:FIELDS_MOST])


def _flatten(path: str, value: Any, into: dict[str, Any]) -> None:
    if not isinstance(value, dict):
        into[path or "body"] = value
        return
    for name, each in value.items():
        _flatten(f"{path}.{name}" if path else str(name), each, into)


def _steady(path: str, value: Any, volatile: Sequence[str]) -> Any:
    """Return a value without the members that are volatile."""
    if not isinstance(value, dict | list):
        return value
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    paths = [(name, f"{path}.{name}" if path else str(name), each) for name, each in inner]
    kept = [(name, _steady(where, each, volatile)) for name, where, each in paths if not _is_volatile(where, volatile)]
    return dict(kept) if isinstance(value, dict) else [each for _, each in kept]


def _is_volatile(path: str, volatile: Sequence[str]) -> bool:
    return any(pattern in (path, path.rpartition(".")[2]) or fnmatch.fnmatchcase(path, pattern) for pattern in volatile)


@dataclass(frozen=True, slots=True)
class AnswersJudged:
    """What is to be said of the answers of one schedule.

    Args:
        reason: what is wrong or not known, e.g. "2 of 2 were answered with 200 (A, B), not one"; empty: nothing.
    """

    verdict: Verdict
    reason: str = ""


def judge_answers(returns: Mapping[str, Return], expect: Expect) -> AnswersJudged:
    """Return whether the answers of one schedule are what a scenario expects.

    Args:
        returns: actor -> what its call came to.
    """
    for actor, returned in returns.items():
        if wrong := _wrong(returned, expect):
            return AnswersJudged(Verdict.VIOLATED, f"{actor} {wrong}")
    return AnswersJudged(Verdict.HOLDS) if expect.exactly_one is None else exactly_one(returns, expect.exactly_one)


def exactly_one(returns: Mapping[str, Return], status: int) -> AnswersJudged:
    """Return whether one of the actors, and no other, was answered with a status; unknown where one had no answer and
    might have been that one, or a second."""
    those = [actor for actor, returned in returns.items() if status_of(returned) == status]
    silent = [actor for actor, returned in returns.items() if status_of(returned) is None]
    who = f" ({', '.join(those)})" if those else ""
    said = f"{len(those)} of {len(returns)} were answered with {status}{who}, not one"
    if len(those) > 1 or (not those and not silent):
        return AnswersJudged(Verdict.VIOLATED, said)
    if silent:
        return AnswersJudged(Verdict.UNKNOWN, f"{', '.join(silent)} had no answer: whether one succeeded is not known")
    return AnswersJudged(Verdict.HOLDS)


def _wrong(returned: Return, expect: Expect) -> str:
    status = status_of(returned)
    if expect.statuses and status is not None and status not in read_statuses(expect.statuses, place="expect.statuses"):
        return f"was answered with {status}, not {', '.join(map(str, expect.statuses))}"
    if not isinstance(returned, Declined) or expect.declines is None:
        return ""
    is_allowed = any(status == each if isinstance(each, int) else _says(returned.reason, each) for each in expect.declines)
    return "" if is_allowed else f"was declined with {returned.reason!r}, which [expect] declines does not have"


def _says(reason: str, wanted: str) -> bool:
    return reason.startswith(f"{wanted} ") if wanted.isdecimal() else wanted.lower() in reason.lower()
