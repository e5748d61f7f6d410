"""Values are taken from answers and put into later requests as the place needs them."""

from typing import Any

import pytest

from integrity.errors import UsageError
from integrity.http.answer import Answer
from integrity.http.request import FORM_TYPE, JSON_TYPE, Json, Part, Parts, Raw, Request
from integrity.http.statuses import read_statuses
from integrity.http.values import NoValue, check_take, fill, take

ANSWER = Answer(
    200,
    {"content-type": "application/json; charset=utf-8", "location": "/wallets/7"},
    '{"data": [{"id": 7, "it.s": "x"}, {"id": 8}], "token": "a/b c"}',
)


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ("$.data[0].id", 7),
        ("$.data[-1].id", 8),
        ("$.data[0]['it.s']", "x"),
        ('$["token"]', "a/b c"),
        ("header Location", "/wallets/7"),
        (r'regex "id": (\d+)', "7"),
        (r"regex tok\w+", "token"),
    ],
)
def test_a_value_is_taken_from_where_it_is(spelling: str, value: object) -> None:
    assert take(ANSWER, {"it": spelling}, place="GET /wallets") == {"it": value}


@pytest.mark.parametrize(
    ("spelling", "said"),
    [
        ("$.data[2].id", r"there is no 2 in \$.data, which is a list of 2"),
        ("$.dta[0]", r"there is no dta in \$, which is an object with data, token \(200\)\n  hint: Perhaps you meant data"),
        ("$.data.id", r"there is no id in \$.data"),
        ("$.data[0].id.x", "which is a number"),
        ("$.data[", r"cannot be read from '\['"),
        ("header Locatoin", "Perhaps you meant location"),
        ("regex nothing(", "is no regular expression"),
        ("regex nothing", "nothing in the answer"),
        ("data.id", "says nothing about where a value is"),
    ],
)
def test_a_value_that_is_not_there_is_told_with_what_is(spelling: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        take(ANSWER, {"it": spelling}, place="GET /wallets")


@pytest.mark.parametrize("spelling", ["$.a..b", "regex (", "header", "id"])
def test_a_spelling_is_refused_before_anything_is_sent(spelling: str) -> None:
    with pytest.raises(UsageError, match=r"values\.id"):
        check_take(spelling, place="values.id")


def test_an_answer_that_is_no_json_is_told_by_its_kind() -> None:
    with pytest.raises(UsageError, match=r"the answer \(500, text/html\) is no JSON"):
        take(Answer(500, {"content-type": "text/html"}, "<h1>"), {"it": "$.id"}, place="GET /")


VALUES = {"id": 7, "name": 'a/b "c" &d', "flag": True, "nothing": None}


def test_a_value_is_spelt_as_its_place_needs_it() -> None:
    form = Request("POST", "/w/{name}?x={id}", (("Content-Type", FORM_TYPE), ("X-Name", "{id}")), Raw("a={name}&b={id}"))
    filled = fill(form, VALUES)
    assert filled.url == "/w/a%2Fb%20%22c%22%20%26d?x=7"
    assert filled.headers[1] == ("X-Name", "7")
    assert filled.body == Raw("a=a%2Fb+%22c%22+%26d&b=7")


def test_a_value_in_text_of_json_is_escaped_and_keeps_its_type() -> None:
    request = Request(
        "POST", "/a", (("Content-Type", JSON_TYPE),), Raw('{"id": {id}, "n": "{name}", "f": {flag}, "z": {nothing}}')
    )
    assert fill(request, VALUES).body == Raw('{"id": 7, "n": "a/b \\"c\\" &d", "f": true, "z": null}')


def test_a_value_in_a_tree_of_json_keeps_its_type_where_it_stands_alone() -> None:
    request = Request("POST", "/a", (), Json({"id": "{id}", "list": ["w-{id}", "{flag}"]}))
    assert fill(request, VALUES).body == Json({"id": 7, "list": ["w-7", True]})


def sent(body: str, kind: str = JSON_TYPE) -> Request:
    return Request("POST", "/a", (("Content-Type", kind),), Raw(body))


QUERIES = (
    sent('{"query": "{ me {wallet} }", "variables": {"id": 7}}'),
    sent('[{"query": "{wallet}"}, {"operation": 1, "query" : "a \\"b\\" {wallet}"}]'),
    sent("query={wallet}&id=7", FORM_TYPE),
    sent("{wallet}", "application/graphql"),
    Request("POST", "/a", (), Json({"query": "{me {wallet}}"})),
    Request("POST", "/a", (), Parts((Part("query", "{wallet}"),))),
)


@pytest.mark.parametrize("request_", QUERIES)
def test_braces_of_a_query_of_graphql_that_name_no_value_stay(request_: Request) -> None:
    assert fill(request_, {"amount": 7}) == request_


PLACES = (
    Request("GET", "/w/{wallet}"),
    Request("GET", "/", (("X-Wallet", "{wallet}"),)),
    sent('{"code": "{wallet}"}'), sent('{"cents": {wallet}}'), sent('{"code": "a-{wallet}", "query": "{id}"}'),
    sent('{"query": "{id}", "variables": {"code": "{wallet}"}}'),
    sent("code={wallet}", FORM_TYPE), sent("<code>{wallet}</code>", "text/xml"), Request("POST", "/a", (), Raw("{wallet}")),
    Request("POST", "/a", (), Json({"code": "{wallet}"})), Request("POST", "/a", (), Json([{"code": ["a {wallet}"]}])),
    Request("POST", "/a", (), Parts((Part("code", "{wallet}"),))),
)  # fmt: skip


@pytest.mark.parametrize("request_", PLACES)
@pytest.mark.parametrize("values", [{}, VALUES, {"walet": 7}])
def test_a_name_without_a_value_is_refused_wherever_it_stands(request_: Request, values: dict[str, Any]) -> None:
    with pytest.raises(NoValue, match=r"there is no value wallet\n  hint: .*(Known: |None is: )"):
        fill(request_, values)


def test_braces_are_sent_as_they_stand_where_a_value_says_so() -> None:
    with pytest.raises(NoValue, match=r'To send \{b\} as it stands, write \[values\] b = "\{b\}"\.'):
        fill(sent('{"a": "{b}"}'), {})
    assert fill(sent('{"a": "{b}"}'), {"b": "{b}"}) == sent('{"a": "{b}"}')


@pytest.mark.parametrize(
    ("given", "right", "wrong"), [(200, 200, 201), ("2xx", 299, 300), ("200-204", 204, 205), ([402, "2xx"], 402, 400)]
)
def test_statuses_are_meant_as_they_are_written(given: int | str | list[int | str], right: int, wrong: int) -> None:
    statuses = read_statuses(given, place="expected")
    assert right in statuses
    assert wrong not in statuses


def test_what_is_no_status_is_refused() -> None:
    with pytest.raises(UsageError, match="expected: '2x' is no status of HTTP"):
        read_statuses("2x", place="expected")
