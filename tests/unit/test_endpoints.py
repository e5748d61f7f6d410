"""What a client sends the server reads, and what the server answers the client reads: one table, both ways."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrity.domain import IntegerIn, KeyOf
from integrity.endpoints.endpoint import Argument, Endpoint, Where, body, header, length, path, query, token
from integrity.endpoints.kinds import Kind
from integrity.endpoints.login import Login, decode_token
from integrity.endpoints.requests import BadRequest, WireRequest, decode_call, encode_call
from integrity.endpoints.table import Act, Endpoints
from integrity.errors import UsageError
from integrity.history import Call, Outcome, Returned, encode_returned
from integrity.operation import Ok, Operation
from integrity.registry import SYSTEMS
from integrity.systems.system import System

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
MOMENTS = st.datetimes(timezones=st.just(UTC))
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.INTEGER: st.integers(-(2**63), 2**63 - 1),
    Kind.NUMBER: st.decimals(allow_nan=False, allow_infinity=False),
    Kind.TEXT: TEXTS,
    Kind.UUID: st.uuids(),
    Kind.MOMENT: MOMENTS,
    Kind.BOOLEAN: st.booleans(),
    Kind.BYTES: st.binary(),
}
EVERY_PLACE = Endpoints(
    tuple(
        Endpoint(
            "POST",
            f"/{kind.name}" + ("/{in_path}" if kind not in (Kind.TEXT, Kind.BYTES) else ""),
            kind.name,
            {
                "in_query": query(kind=kind, before="eq.(", after=")", is_optional=True),
                "in_header": header("X-It", kind, is_optional=True),
                "in_body": body("it", kind),
                "said": token(kind=kind),
                **({"in_path": path(kind=kind)} if kind not in (Kind.TEXT, Kind.BYTES) else {}),
            },
        )
        for kind in Kind
    ),
    acts={"act": Act("TEXT", {"in_body": "act-{operation_id}"})},
)


def values_of(argument: Argument) -> st.SearchStrategy[Any]:
    values = st.integers(0, 3_000) if argument.where is Where.LENGTH else VALUES[argument.kind]
    values = st.sampled_from(argument.one_of) if argument.one_of else values.filter(argument.admits)
    if argument.least is not None or argument.most is not None:
        values = st.integers(argument.least, argument.most)
    return values | st.none() if argument.is_optional else values


def check_both_ways(table: Endpoints, data: st.DataObject) -> None:
    """Draw a call of each operation, and hold what the server reads against what the client asked."""
    for name in table.names():
        endpoint = table.find(name)
        drawn = {key: data.draw(values_of(each), label=f"{name}: {key}") for key, each in endpoint.arguments.items()}
        operation_id = data.draw(st.uuids())
        act = table.acts.get(name)
        asked = {key: value for key, value in drawn.items() if act is None or key not in act.arguments}
        told = {
            **drawn,
            **({key: text.format(operation_id=operation_id) for key, text in act.arguments.items()} if act else {}),
        }
        read = table.decode(table.encode(name, asked, operation_id))
        assert (read.endpoint, read.arguments, read.operation_id) == (endpoint, told, operation_id)
        assert all(type(value) is type(told[key]) for key, value in read.arguments.items())


@pytest.mark.parametrize("name", list(SYSTEMS))
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_a_server_reads_of_each_operation_what_a_client_asked(name: str, data: st.DataObject) -> None:
    system = SYSTEMS[name]
    assert system.endpoints is not None
    assert set(system.endpoints.names()) == set(system.operations)
    check_both_ways(system.endpoints, data)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_value_of_any_kind_comes_through_wherever_it_travels(data: st.DataObject) -> None:
    check_both_ways(EVERY_PLACE, data)


ERRORS = (
    st.sampled_from(["", "23505 duplicate key", "22003 out of range", "connection lost: gone", "53300 no room"]) | TEXTS
)
REASONS = st.sampled_from(["insufficient_balance", "rate_limited", "event_closed"]) | TEXTS
REPLIES: dict[Outcome, st.SearchStrategy[Any]] = {
    Outcome.OK: st.dictionaries(
        TEXTS.filter(lambda key: key != "events"), st.integers(-(2**53), 2**53) | TEXTS | st.none()
    ),
    Outcome.DECLINED: st.fixed_dictionaries({"reason": REASONS}),
    Outcome.UNAVAILABLE: st.fixed_dictionaries({"reason": TEXTS}),
    Outcome.FAILED: st.none(),
    Outcome.UNKNOWN: st.none(),
}


@st.composite
def returns(draw: st.DrawFn) -> Returned:
    outcome = draw(st.sampled_from(Outcome))
    error = "" if outcome.is_answer else draw(ERRORS)
    died = outcome in (Outcome.FAILED, Outcome.UNKNOWN) and draw(st.booleans())
    return Returned(outcome, draw(REPLIES[outcome]), error, draw(st.integers(1, 20)), was_abandoned=died)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(list(SYSTEMS)), returned=returns(), at=MOMENTS, now_s=st.floats(0, 4e9))
def test_a_client_reads_of_an_answer_how_the_call_ended(name: str, returned: Returned, at: datetime, now_s: float) -> None:
    table = SYSTEMS[name].endpoints
    assert table is not None
    for endpoint in table.table:
        event = {"stream": 1, "sequence": 2, "event_id": 3, "sent_at": at}
        events = (event,) if endpoint.has_events and returned.outcome is Outcome.OK else ()
        answer = table.encode_return(endpoint, returned, events, now_s=now_s)
        assert table.decode_return(endpoint.operation, answer.status, answer.headers, answer.body) == (returned, events)
        assert (answer.status < 400) == (returned.outcome is Outcome.OK)
        assert (answer.status in (429, 503)) == ("retry-after" in answer.headers)
        assert 1 <= int(answer.headers.get("retry-after", 1)) <= 3600


def test_an_event_of_a_database_that_has_moments_as_texts_comes_through() -> None:
    table = SYSTEMS["instainstru"].endpoints
    assert table is not None
    endpoint = next(each for each in table.table if each.has_events)
    at = datetime(2026, 1, 2, tzinfo=UTC)
    answer = table.encode_return(endpoint, Returned(Outcome.OK, {}, "", 1), ({"sent_at": at.isoformat()},), now_s=0)
    events = table.decode_return(endpoint.operation, answer.status, answer.headers, answer.body)[1]
    assert events == ({"sent_at": at},)


def test_what_json_has_no_word_for_is_told_over_the_wire_as_a_history_tells_it() -> None:
    reply = {"at": datetime(2026, 1, 2, tzinfo=UTC), "id": UUID(int=7), "price": Decimal("9.90"), "raw": b"\1", "n": 1}
    returned = Returned(Outcome.OK, reply, "", 1)  # type: ignore[arg-type]  # bytes are SupportsBytes
    answer = EVERY_PLACE.encode_return(EVERY_PLACE.table[0], returned, now_s=0)
    read, _ = EVERY_PLACE.decode_return("INTEGER", answer.status, answer.headers, answer.body)
    lines = [encode_returned(Call(UUID(int=1), "buy", {}, 1, 0, 0, 0, Outcome.OK, each.reply)) for each in (returned, read)]
    assert lines[0].replace(b"+00:00", b"").replace(b"T", b" ") == lines[1].replace(b"+00:00", b"").replace(b"T", b" ")


@pytest.mark.parametrize(
    ("status", "said", "outcome"),
    [
        (502, b"<html>Bad Gateway</html>", Outcome.UNKNOWN),
        (500, b"Internal Server Error", Outcome.UNKNOWN),
        (504, b"", Outcome.UNKNOWN),
        (503, b"", Outcome.UNAVAILABLE),
        (404, b'{"error": "there is no /x here"}', Outcome.FAILED),
        (401, b"", Outcome.FAILED),
        (302, b"", Outcome.FAILED),
        (200, b"<html>", Outcome.UNKNOWN),
        (200, b"[1]", Outcome.UNKNOWN),
        (200, b"\xff\xfe", Outcome.UNKNOWN),
    ],
)
def test_of_an_answer_that_is_nobodys_of_ours_only_what_it_can_mean_is_concluded(
    status: int, said: bytes, outcome: Outcome
) -> None:
    returned, events = EVERY_PLACE.decode_return("INTEGER", status, {"attempts": "x"}, said)
    assert (returned.outcome, returned.attempts, events) == (outcome, 1, ())
    assert returned.error.startswith(f"HTTP {status}")


VOTE = Endpoints(
    (
        Endpoint(
            "POST",
            "/votes/{event_id}",
            "vote",
            {
                "event_id": path(),
                "choice": body(),
                "price": body(kind=Kind.NUMBER),
                "how": body(one_of=("up", "down")),
                "wallet_id": token(),
            },
        ),
        Endpoint("GET", "/votes", "count", query={"select": "count"}),
        Endpoint("GET", "/votes", "of", {"event_id": query(before="eq.")}, query={"select": "*"}),
    )
)
FITTING = WireRequest("POST", "/votes/7", body=b'{"choice": 1, "price": 1.5, "how": "up"}', claims={"wallet_id": 3})


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"path": "/vote"}, 404, "there is no /vote here"),
        ({"path": "/votes/7/8"}, 404, "there is no"),
        ({"method": "DELETE"}, 405, "takes POST, not DELETE"),
        ({"path": "/votes/x"}, 422, "event_id in the path is 'x', and must be a whole number"),
        ({"path": f"/votes/{2**63}"}, 422, "event_id"),
        ({"path": "/votes/%FF"}, 422, "event_id"),
        ({"body": b""}, 400, "the body is empty"),
        ({"body": b'{"choice": 1'}, 400, "no JSON"),
        ({"body": b"\xff"}, 400, "no JSON"),
        ({"body": b"[]"}, 422, "the body is list"),
        ({"body": b'{"price": 1}'}, 422, "choice is missing from the body: a whole number belongs there"),
        ({"body": b'{"choice": "1", "price": 1}'}, 422, "choice in the body is '1', and must be a whole number"),
        ({"body": b'{"choice": true, "price": 1}'}, 422, "choice"),
        ({"body": b'{"choice": 1.0, "price": 1}'}, 422, "choice"),
        ({"body": b'{"choice": 123456789012345678901, "price": 1}'}, 422, "choice"),
        ({"body": b'{"choice": 1, "price": "NaN"}'}, 422, "price"),
        ({"body": b'{"choice": 1, "price": {}}'}, 422, "price"),
        (
            {"body": b'{"choice": 1, "price": 1, "how": "sideways"}'},
            422,
            "how in the body is 'sideways', and must be one of up, down",
        ),
        ({"body": b'{"choice": 1, "price": 1, "how": ["up"]}'}, 422, "one of up, down"),
        ({"claims": {}}, 403, "wallet_id"),
        ({"headers": {"operation-id": "7"}}, 422, "Operation-Id"),
        ({"method": "GET", "path": "/votes", "query": "select=all"}, 422, "the query must be select=*&event_id=eq.... or"),
        ({"method": "GET", "path": "/votes", "query": "select=*&event_id=7"}, 422, "a whole number behind 'eq.'"),
        ({"method": "GET", "path": "/votes", "query": "&".join(["a=1"] * 60)}, 400, "more than 50 parameters"),
        ({"method": "GET", "path": "/votes", "query": "select=%ff"}, 400, "no UTF-8"),
    ],
)
def test_a_request_that_asks_for_no_call_is_refused_with_what_is_wrong_in_it(
    changed: dict[str, Any], status: int, words: str
) -> None:
    VOTE.decode(FITTING)
    whole = {name: getattr(FITTING, name) for name in ("method", "path", "query", "headers", "body", "claims")}
    with pytest.raises(BadRequest) as refused:
        VOTE.decode(WireRequest(**{**whole, **changed}))
    assert refused.value.status == status
    assert words in str(refused.value)


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_what_no_call_may_have_is_refused_before_there_is_one(name: str) -> None:
    """Amounts that a table of the system's cannot hold, or none; and keys that are empty."""
    table, operations = SYSTEMS[name].endpoints, SYSTEMS[name].operations
    assert table is not None
    for endpoint in table.table:
        domains = operations[endpoint.operation].arguments
        fitting = {key: example(each, domains[key]) for key, each in endpoint.arguments.items()}
        call = encode_call(endpoint, fitting, UUID(int=1))
        _, placed = table.match(call.method, call.path, call.query)
        assert decode_call(endpoint, placed, call)[0] == fitting
        for key, each in endpoint.arguments.items():
            wrong: list[Any] = [-1, 2**63 - 1] if isinstance(domains[key], IntegerIn) and each.where is Where.BODY else []
            wrong += [""] if re.search("(event|message)_id|key", key) and each.kind is Kind.TEXT else []
            for value in wrong:
                with pytest.raises(BadRequest, match=endpoint.wire_name(key)) as refused:
                    decode_call(endpoint, placed, encode_call(endpoint, {**fitting, key: value}, UUID(int=1)))
                assert refused.value.status == 422


def example(argument: Argument, domain: Any) -> Any:
    if argument.one_of:
        return argument.one_of[0]
    if isinstance(domain, IntegerIn):
        return domain.most
    return {Kind.INTEGER: 1, Kind.TEXT: "t"}[argument.kind]


def test_two_endpoints_of_one_path_are_told_apart_by_their_queries() -> None:
    def asked(text: str) -> str:
        return VOTE.decode(WireRequest("GET", "/votes", text)).endpoint.operation

    assert asked("select=count") == "count"
    assert asked("event_id=eq.7&select=*&apikey=x") == "of"


def test_a_login_says_whose_token_is_asked_for() -> None:
    login = Login("/login", {"wallet_id": Kind.INTEGER, "handle": Kind.TEXT})
    for claims in ({"wallet_id": 41}, {"handle": "ada.l"}, {}):
        assert login.decode(login.encode(claims, "pw").body, "pw") == claims
    for said in ({"email": "wallet_id.x@example.org", "password": "pw"}, {"email": "a@example.org", "password": "pw"}):
        with pytest.raises(BadRequest) as refused:
            login.decode(json.dumps(said).encode(), "pw")
        assert refused.value.status == 401
    with pytest.raises(BadRequest):
        login.decode(login.encode({"wallet_id": 41}, "other").body, "pw")
    assert decode_token(200, b'{"access_token": "t"}') == "t"
    assert decode_token(401, b'{"access_token": "t"}') is None


def steps(**_: Any) -> Any:
    yield
    return Ok()


@pytest.mark.parametrize(
    ("arguments", "more", "words"),
    [
        ({"wallet_id": body()}, {}, "takes 'minor', which no part of the request holds"),
        ({"wallet_id": body(), "minor": body(), "amount": body()}, {}, "takes no 'amount'"),
        ({"wallet_id": body(), "minor": body(kind=Kind.TEXT)}, {}, "minor travels as a text, and is a whole number"),
        ({"wallet_id": token(), "minor": body()}, {}, "asks for a token that says wallet_id, and none can be had"),
        ({"wallet_id": path(), "minor": body()}, {}, "wallet_id is not both in the path and an argument"),
        ({"wallet_id": body(), "minor": body()}, {"path": "/pay/{id}"}, "id is not both in the path"),
        ({"wallet_id": path(kind=Kind.TEXT), "minor": body()}, {"path": "/{wallet_id}"}, "which a path can lose"),
        ({"wallet_id": token(), "minor": token()}, {}, "a token says one thing, and not wallet_id, minor"),
        ({"wallet_id": body(), "minor": body(least=2)}, {}, "minor must be a whole number from 2, and calls have 1 to 2"),
        ({"wallet_id": body(), "minor": body()}, {"method": "get"}, "'get' is no method"),
        ({"wallet_id": body(), "minor": body()}, {"path": "pay"}, "'pay' is no path"),
        ({"wallet_id": body(), "minor": body()}, {"operation": "pya"}, "there is no operation 'pya'"),
    ],
)
def test_a_slip_in_a_table_is_told_as_the_system_is_made(
    arguments: dict[str, Argument], more: dict[str, Any], words: str
) -> None:
    pay = Operation("pay", steps, {"wallet_id": KeyOf("wallets"), "minor": IntegerIn(1, 2)})
    with pytest.raises(UsageError, match=words.replace("'", ".")):
        Endpoints(
            (Endpoint(**{"method": "POST", "path": "/pay", "operation": "pay", "arguments": arguments, **more}),)
        ).check({"pay": pay})


def test_a_file_that_is_uploaded_is_as_long_as_it_says() -> None:
    table = Endpoints((Endpoint("POST", "/files", "upload", {"size_bytes": length()}),))
    sent = table.encode("upload", {"size_bytes": 1_000}, UUID(int=5))
    assert (len(sent.body), sent.headers["content-type"]) == (1_000, "application/octet-stream")
    assert table.table[0].body_bytes_most > 1_000_000


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=list(SYSTEMS))
def test_a_system_of_some_of_its_operations_has_their_endpoints_alone(system: System) -> None:
    """A race of two operations was refused: "endpoints: there is no operation" of each of the others."""
    for name in system.operations:
        some = system.of({name: system.operations[name]})
        assert set(some.operations) == {name}
        assert some.endpoints is not None
        assert {each.operation for each in some.endpoints.table} <= {name}
