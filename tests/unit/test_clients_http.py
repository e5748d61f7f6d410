"""What a client may conclude from what comes over HTTP, or does not: a server of our own answers as badly as it can."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar
from uuid import UUID

import pytest
import uvloop

from integrity.clients.carrier import Abandon
from integrity.clients.http import HttpCarrier, Server
from integrity.domain import IntegerIn
from integrity.endpoints.endpoint import Endpoint, body, token
from integrity.endpoints.kinds import Kind
from integrity.endpoints.login import Login
from integrity.endpoints.table import Act, Endpoints
from integrity.errors import Unreachable
from integrity.history import Outcome, Returned
from integrity.http import connection
from integrity.http.origin import Origin
from integrity.operation import Begin, Declined, Ok, Operation, Request, Steps
from integrity.systems.service import Reaction
from integrity.systems.system import System

CALL = {"amount": 5, "operation_id": UUID(int=7)}


def pay(*, amount: int, operation_id: UUID) -> Steps:
    yield from ()
    return Ok()


PAY = Operation("pay", pay, {"amount": IntegerIn(1, 9)})
ENDPOINTS = Endpoints((Endpoint("POST", "/pay", "pay", {"amount": body()}, ok_status=201),))
SHOP = System("shop", "A shop.", operations={"pay": PAY}, endpoints=ENDPOINTS, makes={"pay": ("payments", "payment_id")})

Result = TypeVar("Result")
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Do it on the loop that runs are on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def nobody(request: Request) -> NoReturn:
    raise AssertionError(f"the server asks {request.service}, the client does not")


@asynccontextmanager
async def serving(answering: Answering, system: System = SHOP) -> AsyncIterator[HttpCarrier]:
    """Yield a carrier to a server that reads one request at a time and answers it so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await answering(reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client is gone, or the test over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = Server(Origin("http", "127.0.0.1", port), system, timeout_s=0.3)
    carrier = HttpCarrier(made, made.connect())
    try:
        yield carrier
    finally:
        carrier.connection.abort()
        server.close()


def saying(answer: bytes, *, then: str = "go on") -> Answering:
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(b'{"amount":5}'))
        writer.write(answer)
        await writer.drain()
        if then == "cut off":
            writer.transport.abort()
        elif then == "close":
            writer.close()

    return answering


def answer(status: int, body: bytes, *more: str) -> Answering:
    head = "\r\n".join((f"HTTP/1.1 {status} So", f"Content-Length: {len(body)}", *more, "", ""))
    return saying(head.encode() + body)


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\n")
    while True:
        await asyncio.sleep(0.01)
        writer.write(b"x: y\r\n")


def call(carrier: HttpCarrier, abandon: Abandon | None = None) -> Any:
    return carrier.call(PAY, CALL, nobody, abandon)


def call_once(answering: Answering, abandon: Abandon | None = None) -> Returned:
    async def once() -> Returned:
        async with serving(answering) as carrier:
            await carrier.connection.open()
            returned: Returned = await call(carrier, abandon)
            return returned

    return run(once())


PAID = b'{"payment_id": 3}'
HUGE = b"x" * (connection.BODY_MOST + 1)
OK, DECLINED, UNAVAILABLE, FAILED, UNKNOWN = Outcome


@pytest.mark.parametrize(
    ("answering", "outcome", "said"),
    {
        "paid": (answer(201, PAID), OK, ""),
        "in chunks": (
            saying(b"HTTP/1.1 201 A\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n" + PAID + b"\r\n0\r\n\r\n"),
            OK,
            "",
        ),
        "to the end of the connection": (saying(b"HTTP/1.0 201 A\r\n\r\n" + PAID, then="close"), OK, ""),
        "after it said to go on": (
            saying(b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 201 A\r\nContent-Length: 17\r\n\r\n" + PAID),
            OK,
            "",
        ),
        "declined": (answer(409, b'{"outcome": "declined", "reason": "sold_out"}'), DECLINED, ""),
        "its own limit": (answer(429, b'{"outcome": "declined", "reason": "rate_limited"}'), DECLINED, ""),
        "unavailable": (answer(503, b'{"outcome": "unavailable", "reason": "mint"}'), UNAVAILABLE, ""),
        "failed": (answer(500, b'{"outcome": "failed", "error": "boom"}'), FAILED, "boom"),
        "what a proxy in between says": (answer(502, b"<h1>Bad Gateway</h1>"), UNKNOWN, "HTTP 502"),
        "a token that is no longer taken": (answer(401, b"who are you?"), FAILED, "HTTP 401: who are you?"),
        "not allowed": (answer(403, b""), FAILED, "HTTP 403"),
        "a redirect": (answer(302, b"", "Location: http://elsewhere/"), UNKNOWN, "points to 'http://elsewhere/'"),
        "no JSON": (answer(201, b"thank you"), UNKNOWN, "no object of JSON: thank you"),
        "no UTF-8": (answer(201, b'{"payment_id": "\xff"}'), UNKNOWN, "no object of JSON"),
        "another answer": (answer(201, b'{"id": 3}'), UNKNOWN, "does not say payment_id"),
        "a key that is none": (answer(201, b'{"payment_id": [3]}'), UNKNOWN, "does not say payment_id"),
        "no HTTP": (saying(b"220 mail.example ESMTP\r\n"), UNKNOWN, "is no HTTP"),
        "another protocol": (
            saying(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
            UNKNOWN,
            "another protocol",
        ),
        "silence": (saying(b""), UNKNOWN, "no answer within 0.3 s"),
        "a drip": (drip, UNKNOWN, "no answer within 0.3 s"),
        "cut off before": (saying(b"", then="cut off"), UNKNOWN, "closed before an answer"),
        "cut off within": (
            saying(b"HTTP/1.1 201 A\r\nContent-Length: 99\r\n\r\n{", then="cut off"),
            UNKNOWN,
            "closed within the answer",
        ),
        "huge": (answer(201, HUGE), UNKNOWN, "longer than 4 MiB"),
        "huge headers": (saying(b"HTTP/1.1 201 A\r\n" + b"x: y\r\n" * 20_000), UNKNOWN, "longer than 64 KiB"),
    }.values(),
)
def test_what_came_back_is_what_it_says_and_what_nobody_can_know_is_unknown(
    answering: Answering, outcome: Outcome, said: str
) -> None:
    returned = call_once(answering)

    assert (returned.outcome, said in returned.error) == (outcome, True), returned


def test_whom_nobody_answers_has_had_no_effect_and_the_connection_is_to_be_opened_again() -> None:
    async def refused() -> tuple[Returned, bool, str]:
        async with serving(answer(201, PAID)) as carrier:
            port = carrier.connection.origin.port
        gone = Server(Origin("http", "127.0.0.1", port), SHOP)
        late = HttpCarrier(gone, gone.connect())
        returned = await call(late)
        with pytest.raises(Unreachable) as caught:
            await late.connection.open()
        return returned, late.connection.is_open, caught.value.message

    returned, is_open, said = run(refused())

    assert (returned.outcome, returned.error, is_open) == (FAILED, "connection refused", False)
    assert said.endswith("connection refused")


@pytest.mark.parametrize(("then", "connects"), [("go on", 1), ("close", 3)])
def test_one_connection_is_kept_and_made_again_where_the_server_closes_it_between_two_calls(
    then: str, connects: int
) -> None:
    async def three() -> tuple[list[Outcome], int]:
        said = saying(b"HTTP/1.1 201 A\r\nContent-Length: 17\r\n\r\n" + PAID, then=then)
        async with serving(said) as carrier:
            await carrier.connection.open()
            outcomes = []
            for _ in range(3):
                outcomes.append((await call(carrier)).outcome)
                await asyncio.sleep(0.02)
            return outcomes, carrier.connection.connects

    assert run(three()) == ([OK] * 3, connects)


@pytest.mark.parametrize(
    ("abandon", "answering", "outcome", "was_abandoned"),
    [
        (Abandon(0), answer(201, PAID), FAILED, True),
        (Abandon(1, in_flight=True), saying(b""), UNKNOWN, True),
        (Abandon(9), saying(b""), UNKNOWN, True),
        (Abandon(None), answer(201, PAID), UNKNOWN, True),
        (Abandon(None), saying(b"", then="cut off"), UNKNOWN, True),
        (Abandon(200), answer(201, PAID), OK, False),
    ],
)
def test_a_client_that_dies_before_it_sent_anything_did_nothing_and_later_nobody_knows(
    abandon: Abandon, answering: Answering, outcome: Outcome, was_abandoned: bool
) -> None:
    returned = call_once(answering, abandon)

    assert (returned.outcome, returned.was_abandoned) == (outcome, was_abandoned), returned


def test_who_hangs_up_on_a_call_that_is_under_way_does_not_know_what_became_of_it() -> None:
    async def hang_up() -> Returned:
        async with serving(saying(b"")) as carrier:
            calling = asyncio.ensure_future(call(carrier))
            await asyncio.sleep(0.05)
            carrier.connection.abort()
            returned: Returned = await calling
            return returned

    assert run(hang_up()) == Returned(UNKNOWN, None, "the client hung up", 1)


def test_a_token_is_had_once_and_again_when_it_is_not_taken_any_more() -> None:
    endpoint = Endpoint("POST", "/pay", "pay", {"amount": token("wallet")}, ok_status=201)
    endpoints = Endpoints((endpoint,), login=Login("/login", {"wallet": Kind.INTEGER}))
    logged_in = b'HTTP/1.1 200 A\r\nContent-Length: 22\r\n\r\n{"access_token":"abc"}'
    paid = b"HTTP/1.1 201 A\r\nContent-Length: 17\r\n\r\n" + PAID
    refused = b"HTTP/1.1 401 A\r\nContent-Length: 0\r\n\r\n"
    answers = iter([logged_in, paid, paid, refused, refused])

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(answers))

    async def calls() -> list[str]:
        system = System("shop", "A shop.", operations={"pay": PAY}, endpoints=endpoints)
        async with serving(answering, system) as carrier:
            await carrier.connection.open()
            returned = [await call(carrier) for _ in range(4)]
            return [f"{each.outcome} {each.error}".strip() for each in returned]

    no_token = "failed login: POST /login was answered with HTTP 401, which gives no token"
    assert run(calls()) == ["ok", "ok", "failed HTTP 401:", no_token]


def test_what_clients_do_themselves_asks_the_services_on_their_side_and_no_server() -> None:
    """A viewer taps, and his app sends the vote, again where its answer was lost: no server knows of the tap."""
    asked: list[Request] = []

    def tap(*, amount: int, operation_id: UUID) -> Steps:
        yield Request("app", {"amount": amount})
        if amount == 9:
            yield Begin()
        return Declined("later") if amount == 8 else Ok({"amount": amount})

    def react(step: Request) -> Reaction:
        asked.append(step)
        return Reaction({"status": "accepted"}, latency_s=0.001)

    acts = {"tap": Act("pay", is_played=True)}
    operation = Operation("tap", tap, {"amount": IntegerIn(1, 9)})
    operations = {"pay": PAY, "tap": operation}
    system = System("shop", "A shop.", operations=operations, endpoints=Endpoints(ENDPOINTS.table, acts=acts))
    answered: list[bool] = []

    async def taps() -> list[Returned]:
        async with serving(saying(b""), system) as carrier:
            calls = ({**CALL, "amount": amount} for amount in (5, 8, 9))
            return [await carrier.call(operation, each, react, answered=lambda: answered.append(True)) for each in calls]

    ok, declined, failed = run(taps())

    assert (ok, declined) == (Returned(OK, {"amount": 5}, "", 1), Returned(DECLINED, {"reason": "later"}, "", 1))
    assert (failed.outcome, "no begin to make" in failed.error) == (FAILED, True)
    assert [each.payload for each in asked] == [{"amount": 5}, {"amount": 8}, {"amount": 9}]
    assert len(answered) == 3
