"""An answer of HTTP becomes what a call came to, and the answers of one schedule are judged together."""

import pytest

from integrity.http.answer import Answer, Unanswered
from integrity.operation import Declined, Ok
from integrity.race.program.trace import Failed, Return
from integrity.scenarios.answers import as_return, exactly_one, judge_answers, status_of
from integrity.scenarios.scenario import Expect
from integrity.verdict import Verdict

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html; charset=utf-8"}

ANSWERS: dict[str, tuple[Answer | Unanswered, Return]] = {
    "a body of JSON": (
        Answer(200, JSON, '{"id": 7, "w": {"left": [1, "x"]}}'),
        Ok({"status": 200, "id": 7, "w.left": [1, "x"]}),
    ),
    "a list": (Answer(200, JSON, "[1]"), Ok({"status": 200, "body": [1]})),
    "another body": (Answer(201, HTML, "<p>hello"), Ok({"status": 201})),
    "a redirect": (Answer(303, {**HTML, "location": "/done"}, ""), Ok({"status": 303, "location": "/done"})),
    "a no with a word": (Answer(402, JSON, '{"error": "insufficient_funds"}'), Declined("402 insufficient_funds")),
    "a no of FastAPI": (
        Answer(422, JSON, '{"detail": [{"loc": ["body"], "msg": "too small"}]}'),
        Declined("422 too small"),
    ),
    "a no of Django": (Answer(400, JSON, '{"amount": ["must be positive"]}'), Declined("400 must be positive")),
    "a page that begins with its status": (
        Answer(500, HTML, "<title>500 Internal Server Error</title>"),
        Failed(None, "500 Internal Server Error"),
    ),
    "a no as a page": (Answer(403, HTML, "<title>No\n way</title>"), Declined("403 No way")),
    "a no as text": (Answer(409, {"content-type": "text/plain"}, "sold out\n"), Declined("409 sold out")),
    "a no without a word": (Answer(404), Declined("404 Not Found")),
    "a long no": (Answer(400, JSON, f'{{"error": "{"word " * 40}"}}'), Declined(f"400 {'word ' * 11}word")),
    "a failure": (Answer(500, HTML, "<h1>Server <b>Error</b></h1>"), Failed(None, "500 Server Error")),
    "no answer": (Unanswered("no connection: refused"), Failed(None, "no answer: no connection: refused")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_means_what_its_status_says(name: str) -> None:
    answer, returned = ANSWERS[name]
    assert as_return(answer) == returned


@pytest.mark.parametrize("pattern", ["at", "data.at", "data.*"])
def test_volatile_fields_are_left_out(pattern: str) -> None:
    answer = Answer(200, JSON, '{"id": 1, "data": {"at": "12:00"}}')
    assert as_return(answer, volatile=[pattern]) == Ok({"status": 200, "id": 1})


@pytest.mark.parametrize("pattern", ["at", "sales.0.at", "sales.*.at"])
def test_volatile_members_of_a_list_are_left_out(pattern: str) -> None:
    answer = Answer(200, JSON, '{"sales": [{"id": 1, "at": "12:00"}]}')
    assert as_return(answer, volatile=[pattern]) == Ok({"status": 200, "sales": [{"id": 1}]})


YES: Return = Ok({"status": 200})
NO: Return = Declined("409 sold out")
SILENT: Return = Failed(None, "no answer: it was cut off")


@pytest.mark.parametrize(
    ("returns", "verdict"),
    [
        ([YES, NO], Verdict.HOLDS),
        ([YES, YES], Verdict.VIOLATED),
        ([NO, NO], Verdict.VIOLATED),
        ([Ok({"status": 201}), YES], Verdict.HOLDS),
        ([YES, SILENT], Verdict.UNKNOWN),
        ([NO, SILENT], Verdict.UNKNOWN),
        ([YES, YES, SILENT], Verdict.VIOLATED),
    ],
)
def test_exactly_one_may_be_answered_so(returns: list[Return], verdict: Verdict) -> None:
    assert exactly_one(dict(zip("ABC", returns, strict=False)), 200).verdict is verdict


def test_who_was_answered_so_is_named() -> None:
    assert exactly_one({"A": YES, "B": YES}, 200).reason == "2 of 2 were answered with 200 (A, B), not one"


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        (Expect(declines=[409]), ""),
        (Expect(declines=["Sold"]), ""),
        (Expect(declines=["409"]), ""),
        (Expect(declines=[402, "broke"]), "B was declined with '409 sold out', which [expect] declines does not have"),
        (Expect(declines=[]), "B was declined with '409 sold out', which [expect] declines does not have"),
        (Expect(statuses=["2xx"]), "B was answered with 409, not 2xx"),
        (Expect(statuses=["2xx", 409]), ""),
        (Expect(), ""),
    ],
)
def test_answers_are_held_to_what_is_expected(expect: Expect, reason: str) -> None:
    judged = judge_answers({"A": YES, "B": NO}, expect)
    assert judged.reason == reason
    assert (judged.verdict is Verdict.VIOLATED) == bool(reason)


@pytest.mark.parametrize(("returned", "status"), [(YES, 200), (NO, 409), (SILENT, None), (Failed(None, "500 x"), 500)])
def test_the_status_of_a_call_is_told_from_what_it_came_to(returned: Return, status: int | None) -> None:
    assert status_of(returned) == status
