"""A scenario's file says what races; what is wrong in it is told with file, line, column, value and what was meant."""

from pathlib import Path
from typing import Any

import pytest

from integrity.errors import UsageError
from integrity.http.request import Json, Raw, Request
from integrity.http.statuses import read_statuses
from integrity.scenarios.reading import read_scenario, read_text
from integrity.scenarios.requests import declared_requests, read_request
from integrity.scenarios.scenario import RequestTable, Scenario
from integrity.scenarios.toml_place import place_of

WHOLE = """
title = "two payments of one wallet"

[app]
command = "uvicorn shop:app --port ${PORT}"
url = "http://127.0.0.1:${PORT}"
env = { MODE = "${MODE}" }
ready = "/health"

[database]
name = "shop_test"

[values]
amount = 5

[setup]
sql = "delete from payments"
requests = [{ request = "POST /wallets", take = { wallet = "$.id" } }]

[login]
requests = ["POST /login name=ann"]
bearer = "$.token"

[[actors]]
name = "pay"
requests = [
    'POST /pay {"wallet": {wallet}, "amount": {amount}}',
    { url = "/receipts", headers = { X-A = "b" }, expected = "2xx" },
]
count = 2

[[actors]]
command = "node pay.js"

[expect]
exactly_one = 200
declines = [402, "insufficient"]
volatile = { fields = ["created_at"], columns = ["updated_at"] }
"""


def _read(text: str) -> Scenario:
    return read_text(text, file=Path("scenarios/pay.toml"), environment={"MODE": "test"})


def test_a_scenario_is_read_with_the_variables_in_it() -> None:
    scenario = _read(WHOLE)
    assert scenario.app.env == {"MODE": "test"}
    assert (scenario.app.command, scenario.app.url) == ("uvicorn shop:app --port ${PORT}", "http://127.0.0.1:${PORT}")
    assert [(actor.name, actor.count, actor.command) for actor in scenario.actors] == [
        ("pay", 2, ""),
        ("", 1, "node pay.js"),
    ]
    assert scenario.actors[0].requests[1] == RequestTable(url="/receipts", headers={"X-A": "b"}, expected="2xx")
    assert scenario.expect.volatile.fields == ["created_at"]


ACTOR = '[[actors]]\nrequests = ["POST /pay"]\ncount = 2\n'

MISTAKES = {
    "a section": (
        f"{ACTOR}[expct]\n",
        "4:1: expct: there is no such key\n  4 | [expct]\n      ^\n  hint: Perhaps you meant expect.",
    ),
    "a key": (
        f'{ACTOR}[app]\n  comand = "x"\n',
        '5:3: app.comand: there is no such key\n  5 |   comand = "x"\n        ^\n  hint: Perhaps you meant command.',
    ),
    "a key of the second actor": (
        f"{ACTOR}\n[[actors]]\nrequests = []\ncuont = 1\n",
        "7:1: actors.1.cuont: there is no such key\n  7 | cuont = 1\n      ^\n  hint: Perhaps you meant count.",
    ),
    "a key of a request": (
        "[[actors]]\ncount = 2\nrequests = [\n  'POST /a',\n  { url = '/a', heders = {} },\n]\n",
        "5:17: actors.0.requests.1.heders: there is no such key"
        "\n  5 |   { url = '/a', heders = {} },\n                      ^\n"
        "  hint: Perhaps you meant headers.",
    ),
    "a key of an inline table": (
        f"{ACTOR}[expect]\nvolatile = {{ columns = [], feilds = [] }}\n",
        "5:28: expect.volatile.feilds: there is no such key\n  5 | volatile = { columns = [], feilds = [] }\n"
        "                                 ^\n  hint: Perhaps you meant fields.",
    ),
    "a number": (
        '[[actors]]\nrequests = ["GET /"]\ncount = "many"\n',
        "3:1: actors.0.count: it must be a whole number, not 'many'\n  3 | count = \"many\"\n      ^",
    ),
    "too many": (
        "[[actors]]\nrequests = ['GET /']\ncount = 99\n",
        "3:1: actors.0.count: it must be at most 8",
    ),
    "too many requests": (
        f"[[actors]]\ncount = 2\nrequests = {['GET /'] * 6}\n",
        "3:1: actors.0.requests: it has 6, and at most 5 are possible",
    ),
    "nothing to do": ("[[actors]]\ncount = 2\n", "1:1: actors.0 has nothing to do"),
    "two things to do": (f"{ACTOR}command = 'x'\n", "1:1: actors.0 has both requests and a command"),
    "nobody": ("title = 'x'\n", "1:1: actors: it is needed, and not there"),
    "one alone": ("[[actors]]\nrequests = ['GET /']\n", "1:1: one actor races nobody"),
    "a function": (f"{ACTOR}[setup]\npython = 'make'\n", "5:1: setup.python: it must be \"module:function\", not 'make'"),
    "no TOML": (f"{ACTOR}[app\n", "4:5: cannot be read: Expected ']' at the end of a table declaration"),
    "a variable": (
        f"{ACTOR}[app]\nurl = 'http://${{HOST}}/'\n",
        "5:1: app.url: the environment has no variable HOST\n  5 | url = 'http://${HOST}/'\n      ^\n  hint: export HOST",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_was_meant(name: str) -> None:
    text, said = MISTAKES[name]
    with pytest.raises(UsageError) as refusal:
        _read(text)
    assert said in str(refusal.value)
    assert str(refusal.value).startswith("scenarios/pay.toml:")


def test_the_value_that_is_wrong_is_told_unless_it_may_be_a_secret() -> None:
    with pytest.raises(UsageError, match="not 'many'"):
        _read(MISTAKES["a number"][0])
    with pytest.raises(UsageError) as refusal:
        _read(f"{ACTOR}[app]\nurl = 7\n[app.env]\n")
    assert "7" not in str(refusal.value).partition("app.url")[2].partition("\n")[0]


def test_a_key_within_a_text_of_several_lines_is_none() -> None:
    text = 'a = """\nb = 1\n"""\nb = 2\n'
    assert place_of(text, ("b",)) == (4, 1)


RACE_THE_WEB = """
count = 100
verbose = true
[[requests]]
    method = "POST"
    url = "http://127.0.0.1:8000/pay"
    body = "amount=5"
    cookies = ["session=abc; HttpOnly", "b=2"]
    redirects = true
"""


def test_a_file_of_race_the_web_is_read_as_two_actors() -> None:
    (actor,) = _read(RACE_THE_WEB).actors
    request = read_request(actor.requests[0], place="p")
    assert actor.count == 2
    assert (request.method, request.url, request.follows_redirects) == ("POST", "http://127.0.0.1:8000/pay", True)
    assert (request.body, request.header("cookie")) == (Raw("amount=5"), "session=abc; b=2")


REQUESTS = {
    "a line": (RequestTable(request="GET /a"), Request("GET", "/a")),
    "a curl line": (RequestTable(request="curl -X PUT /a"), Request("PUT", "/a")),
    "a name": (RequestTable(request="pay"), Request("POST", "/pay", name="pay")),
    "a name with more": (
        RequestTable(request="pay", expected=402, take={"id": "$.id"}),
        Request("POST", "/pay", expected=read_statuses(402, place="p"), takes={"id": "$.id"}, name="pay"),
    ),
    "json": (
        RequestTable(url="/a", json={"id": "{id}"}),
        Request("POST", "/a", (("Content-Type", "application/json"),), Json({"id": "{id}"})),
    ),
    "a form": (
        RequestTable(url="/a", form={"to": "{id}", "note": "a b"}),
        Request("POST", "/a", (("Content-Type", "application/x-www-form-urlencoded"),), Raw("to={id}&note=a+b")),
    ),
    "a body of JSON": (
        RequestTable(url="/a", method="put", body='{"a": 1}'),
        Request("PUT", "/a", (("Content-Type", "application/json"),), Raw('{"a": 1}')),
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_read_in_each_of_its_spellings(name: str) -> None:
    table, request = REQUESTS[name]
    assert read_request(table, place="p", named={"pay": Request("POST", "/pay", name="pay")}) == request


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (RequestTable(request="payy"), "Perhaps you meant pay."),
        (RequestTable(request="POST /a", url="/b"), "says already what"),
        (RequestTable(url="/a", body="x", json={}), "body and json are both the body"),
        (RequestTable(method="POST"), "a request without a url"),
        (RequestTable(url="/a", method="POSt2"), "'POSt2' is no method"),
        (RequestTable(url="/a", expected="ok"), "p: expected: 'ok' is no status"),
        (RequestTable(url="/a", take={"id": "id"}), "p: take.id: 'id' says nothing"),
    ],
)
def test_a_request_that_cannot_be_used_is_refused(table: RequestTable, said: str) -> None:
    with pytest.raises(UsageError) as refusal:
        read_request(table, place="p", named={"pay": Request("POST", "/pay")})
    assert said in str(refusal.value)


def test_requests_that_integrity_toml_declares_have_two_names_unless_two_share_one() -> None:
    targets: dict[str, dict[str, Any]] = {
        "shop": {"requests": {"pay": "POST /pay", "see": {"url": "/"}}},
        "bank": {"requests": {"pay": "POST /p"}},
    }
    assert sorted(declared_requests(targets, file=Path("integrity.toml"))) == ["bank.pay", "see", "shop.pay", "shop.see"]


def test_a_mistake_in_a_declared_request_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "integrity.toml"
    file.write_text("[targets.shop.requests.pay]\nurl = '/pay'\nmethd = 'POST'\n")
    with pytest.raises(UsageError) as refusal:
        declared_requests({"shop": {"requests": {"pay": {"url": "/pay", "methd": "POST"}}}}, file=file)
    assert f"{file}:3:1: targets.shop.requests.pay.methd: there is no such key" in str(refusal.value)
    assert "Perhaps you meant method." in str(refusal.value)


def test_a_scenario_that_there_is_not_is_told_with_what_may_be_meant(tmp_path: Path) -> None:
    (tmp_path / "spend.toml").write_text("")
    (tmp_path / "refund.toml").write_text("")
    with pytest.raises(UsageError) as refused:
        read_scenario(tmp_path / "spnd.toml")
    hint = "Perhaps you meant spend. There are: refund, spend. `integrity new scenario NAME` writes one."
    assert refused.value.hint == hint
