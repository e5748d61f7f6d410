"""A server's parts, without a database: who is let in, what is refused with which words, and what is counted."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest
from sqlalchemy import MetaData

from integrity.clients.deliveries import CausingCall
from integrity.endpoints.answers import encode_return
from integrity.endpoints.endpoint import Endpoint, body, length, path, query, token
from integrity.endpoints.kinds import Kind
from integrity.endpoints.login import Login
from integrity.endpoints.signature import OLD_S, sign
from integrity.endpoints.table import Endpoints, Limit
from integrity.errors import Unreachable, UsageError
from integrity.operation import Begin, Declined, Ok, Operation, Request, Rows, Statement, StatementFailed, Value
from integrity.serve.application import Application
from integrity.serve.courier import ATTEMPTS_MOST
from integrity.serve.limiter import Limiter
from integrity.serve.listening import listen_on, url_of
from integrity.serve.metrics import Histogram, Metrics
from integrity.serve.pool import Pool, PoolExhausted
from integrity.serve.tokens import TOKEN_S, Tokens
from integrity.serve.web import Secrets, make_web
from integrity.systems.service import Context, Delivery, Reaction
from integrity.systems.system import System
from tests.asgi import ask

PASSWORD, KEY = "pw", "the-key"
EVERYWHERE = "0.0.0.0"  # noqa: S104  (refused, or asked for in so many words)


class Memory:
    """A connection to nothing: every statement is answered with one row."""

    attempts_most = 3

    def __init__(self) -> None:
        self.is_open = False
        self.opened = 0
        self.is_reachable = True

    async def open(self) -> None:
        if not self.is_reachable:
            raise Unreachable("no server there")
        self.is_open, self.opened = True, self.opened + 1

    async def begin(self, begin: Begin) -> None: ...

    async def begin_now(self) -> None: ...

    async def execute(self, sql: str, parameters: Mapping[str, Value]) -> Rows:
        if sql == "lose":
            self.is_open = False
            raise StatementFailed("gone", sqlstate=None)
        if sql == "refuse":
            raise StatementFailed("value out of range", sqlstate="22003")
        await asyncio.sleep(0)
        return [{"one": 1}]

    async def has_written(self) -> bool:
        return False

    async def commit(self) -> None: ...

    async def rollback(self) -> None: ...

    def abort(self) -> None:
        self.is_open = False

    async def close(self) -> None:
        self.is_open = False


def pay(*, operation_id: Any, wallet_id: int, minor: int) -> Any:
    if minor == 13:
        raise ZeroDivisionError("thirteen")
    if minor == 14:
        yield Statement("refuse")
    if minor == 15:
        yield Statement("lose")
    yield Statement("select 1" if minor == 16 else "insert into till.paid select 1")  # 16 was paid before
    if minor > 100:
        return Declined("insufficient_balance")
    yield Request("bank", {"minor": minor})
    return Ok({"paid_minor": minor, "wallet_id": wallet_id})


HEARD: list[int] = []
ANSWERED = asyncio.Event()


def hear(*, operation_id: Any, minor: int) -> Any:
    yield Statement("select 1")
    HEARD.append(minor)
    if len(HEARD) == 1:
        yield Statement("lose")
    ANSWERED.set()
    return Ok()


def show(*, operation_id: Any, wallet_id: int) -> Any:
    yield Statement("select 1")
    return Ok({"wallet_id": wallet_id})


def store(*, operation_id: Any, size: int) -> Any:
    yield Statement("select 1")
    return Ok({"size": size})


def bank(payload: Mapping[str, Value], context: Context) -> Reaction:
    return context.react({"status": "taken"}, context.webhooks("hear", {"minor": payload["minor"]}))


SYSTEM = System(
    "till",
    "a till",
    metadata=MetaData(schema="till"),
    operations={
        name: Operation(name, steps, {}) for name, steps in (("pay", pay), ("hear", hear), ("show", show), ("store", store))
    },
    services={"bank": bank},
    endpoints=Endpoints(
        (
            Endpoint("POST", "/pay", "pay", {"wallet_id": token(), "minor": body()}, ok_status=201),
            Endpoint("GET", "/wallets/{id}", "show", {"wallet_id": path("id")}),
            Endpoint("GET", "/rest/wallet", "show", {"wallet_id": token()}),
            Endpoint("POST", "/files", "store", {"size": length()}, needs_token=True),
            Endpoint("POST", "/hear", "hear", {"minor": query()}),
            Endpoint("POST", "/webhooks/bank", "hear", {"minor": query()}, is_signed=True),
        ),
        declines={"insufficient_balance": 402},
        login=Login("/login", {"wallet_id": Kind.INTEGER}),
        api_key="apikey",
        limit=Limit("/rest/", 2, 3_600),
        counters={"payments_total": "pay"},
        pages={"/till/": "<!doctype html><title>till</title>"},
    ),
)


SECRETS = Secrets(PASSWORD, KEY, b"s" * 32, "let-me-by", "service", "sign")


class Served:
    """The system's web application, and its only connection."""

    def __init__(self, *, size: int = 1, wait_s: float = 0.05) -> None:
        self.connection = Memory()
        self.pool = Pool(lambda: self.connection, size=size, wait_s=wait_s)
        assert SYSTEM.endpoints is not None
        self.application = Application(SYSTEM, self.pool, counters=SYSTEM.endpoints.counters)
        self.web = make_web(self.application, SYSTEM.endpoints, SECRETS)

    async def ask(self, method: str, target: str, body: Any = b"", **headers: str) -> tuple[int, dict[str, str], Any]:
        """Ask, and return the body's JSON."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        status, told, said = await ask(self.web, method, target, {"apikey": KEY, **given}, body)
        return status, told, json.loads(said) if told["content-type"] == "application/json" else said.decode()

    async def token(self, wallet_id: int = 7) -> str:
        said = {"email": f"wallet_id.{wallet_id}@example.org", "password": PASSWORD}
        status, _, answer = await self.ask("POST", "/login", json.dumps(said).encode())
        assert status == 200
        return f"Bearer {answer['access_token']}"


def played(test: Callable[[Served], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Play a test on a server of its own."""

    def play() -> None:
        HEARD.clear()
        ANSWERED.clear()
        asyncio.run(test(Served()))

    play.__name__ = test.__name__
    return play


@played
async def test_a_call_is_answered_with_its_reply_its_id_and_the_requests(served: Served) -> None:
    said = {
        "authorization": await served.token(),
        "x_request_id": "r-1",
        "operation_id": "01890000-0000-7000-8000-000000000001",
    }
    status, told, answer = await served.ask("POST", "/pay", b'{"minor": 5}', **said)
    assert (status, answer) == (201, {"paid_minor": 5, "wallet_id": 7})
    assert (told["operation-id"], told["x-request-id"]) == (said["operation_id"], "r-1")
    status, told, answer = await served.ask("POST", "/pay", b'{"minor": 500}', authorization=said["authorization"])
    assert (status, answer) == (402, {"outcome": "declined", "reason": "insufficient_balance"})
    assert len(told["operation-id"]) == 36
    assert len(told["x-request-id"]) == 32


BAD: list[tuple[str, str, Any, dict[str, str], int, str]] = [
    ("POST", "/pay", b"", {}, 400, "the body is empty"),
    ("POST", "/pay", b"{", {}, 400, "no JSON"),
    ("POST", "/pay", b"\xff\xfe\x00", {}, 400, "no JSON"),
    ("POST", "/pay", b"null", {}, 422, "an object of JSON belongs there"),
    ("POST", "/pay", b'{"minor": "5"}', {}, 422, "minor in the body is '5', and must be a whole number"),
    ("POST", "/pay", b'{"minor": 1e400}', {}, 400, "no JSON"),
    ("POST", "/pay", b"[" * 60_000, {}, 400, "no JSON"),
    ("POST", "/pay", b" " * 65_537, {}, 413, "longer than 65,536 bytes"),
    ("POST", "/pay", [b" " * 40_000] * 3, {}, 413, "longer than 65,536 bytes"),
    ("POST", "/pay", b"{}", {"content_length": "9" * 30}, 413, "longer than"),
    ("POST", "/pay", b"{}", {"content_length": "-1"}, 413, "longer than"),
    ("POST", "/pay", b'{"minor": 5}', {"authorization": "Bearer nobody"}, 401, "none of ours, or too old"),
    ("POST", "/pay", b'{"minor": 5}', {"authorization": "Basic eDp5"}, 401, "must be Bearer and a token"),
    ("POST", "/pay", b'{"minor": 5}', {"apikey": "other"}, 401, "the header apikey must hold the service's key"),
    ("POST", "/pay", b'{"minor": 5}', {"authorization": f"Bearer {KEY}"}, 403, "wallet_id"),
    ("POST", "/pay", b'{"minor": 5}', {"operation_id": "1"}, 422, "Operation-Id"),
    ("POST", "/login", b"{}", {}, 422, "email is missing"),
    ("POST", "/login", b'{"email": "wallet_id.7@example.org", "password": "x"}', {}, 401, "nobody has this"),
    ("POST", "/login", b" " * 5_000, {}, 413, "longer than 4,096 bytes"),
    ("GET", "/pay", b"", {}, 405, "/pay takes POST, not GET"),
    ("POST", "/health", b"", {}, 405, "/health takes GET, HEAD, not POST"),
    ("GET", "/login", b"", {}, 405, "/login takes POST, not GET"),
    ("GET", "/wallets/x", b"", {}, 422, "id in the path"),
    ("GET", "/wallets/%ff", b"", {}, 422, "id in the path"),
    ("GET", "/wallets/7/", b"", {}, 404, "there is no /wallets/7/ here"),
    ("GET", "/../etc/passwd", b"", {}, 404, "there is no"),
    ("POST", "/hear", b"", {}, 422, "minor is missing from the query"),
    ("TRACE", "/files", b"", {}, 405, "takes POST"),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad[0]} {bad[1]}: {bad[5]}")
def test_what_cannot_be_answered_is_refused_with_what_is_wrong_in_it(
    bad: tuple[str, str, Any, dict[str, str], int, str],
) -> None:
    method, target, body, headers, status, words = bad

    async def play() -> None:
        served = Served()
        given = {"authorization": await served.token(), **headers}
        got, told, answer = await served.ask(method, target, body, **given)
        assert (got, told["x-request-id"]) == (status, answer["request_id"])
        assert words in answer["error"]
        assert ("allow" in told) == (status == 405)
        assert served.connection.opened == 0

    asyncio.run(play())


@played
async def test_what_goes_wrong_in_a_call_is_an_answer_that_says_what_became_of_it(served: Served) -> None:
    who = await served.token()
    told = {minor: await served.ask("POST", "/pay", b'{"minor": %d}' % minor, authorization=who) for minor in (13, 14, 15)}
    assert [(status, said["outcome"]) for status, _, said in told.values()] == [
        (500, "failed"),
        (422, "failed"),
        (504, "unknown"),
    ]
    assert "ZeroDivisionError: thirteen" in told[13][2]["error"]
    assert served.connection.opened == 1
    assert (await served.ask("GET", "/wallets/3"))[0] == 200
    assert served.connection.opened == 2  # lost, and opened again
    served.connection.abort()
    served.connection.is_reachable = False
    status, headers, said = await served.ask("GET", "/wallets/3")
    assert (status, said["reason"], headers["retry-after"]) == (503, "database_unreachable", "1")
    assert said["error"] == "the database does not answer"  # and not where it is
    assert (await served.ask("GET", "/health"))[0] == 503
    served.connection.is_reachable = True
    status, _, said = await served.ask("GET", "/health")
    assert (status, said) == (200, {"status": "ok", "system": "till"})


@played
async def test_who_finds_no_connection_free_waits_and_is_then_told_to_come_again(served: Served) -> None:
    async with served.pool.driver():
        status, headers, said = await served.ask("GET", "/wallets/3")
        assert (status, said["reason"], headers["retry-after"]) == (503, "no_connection_free", "1")
        assert said["error"] == "1 connection in use, and none came free within 0.05 s"
        waiting = asyncio.create_task(served.ask("GET", "/wallets/3"))
        await asyncio.sleep(0)
    assert (await waiting)[0] == 200
    with pytest.raises(PoolExhausted):
        async with served.pool.driver(), served.pool.driver():
            raise AssertionError
    assert served.pool.in_use == 0


@played
async def test_requests_of_a_token_are_let_through_up_to_the_limit_exactly_and_others_are_not_held_up(
    served: Served,
) -> None:
    one, two = await served.token(1), await served.token(2)
    many = [await served.ask("GET", "/rest/wallet", authorization=one) for _ in range(4)]
    assert [status for status, _, _ in many] == [200, 200, 429, 429]
    assert many[2][2] == {"outcome": "declined", "reason": "rate_limited"}
    assert 1 <= int(many[2][1]["retry-after"]) <= 3_600
    assert (await served.ask("GET", "/rest/wallet", authorization=await served.token(1)))[0] == 429  # logged in anew
    assert (await served.ask("GET", "/rest/wallet", authorization=two))[0] == 200
    assert (await served.ask("GET", "/rest/wallet", authorization=one, x_loadtest_bypass="let-me-by"))[0] == 200
    assert (await served.ask("GET", "/rest/wallet", authorization=one, x_loadtest_bypass="other"))[0] == 429
    assert (await served.ask("POST", "/pay", b'{"minor": 5}', authorization=one))[0] == 201  # below another path


@played
async def test_who_bears_the_services_key_may_all_and_is_not_counted(served: Served) -> None:
    bearing = {"authorization": "Bearer service", "apikey": "service"}
    assert [(await served.ask("GET", "/integrity/record", **bearing))[0] for _ in range(3)] == [200] * 3
    assert (await served.ask("POST", "/files", b"1234", **bearing))[0] == 200
    assert (await served.ask("GET", "/integrity/record", authorization="Bearer other"))[0] == 401
    assert (await served.ask("POST", "/files", b"1234", apikey="service", authorization="Bearer other"))[0] == 401


@played
async def test_a_webhook_is_taken_with_its_signature_alone_and_not_again_later(served: Served) -> None:
    now_s = time.time()
    signatures = {
        "": "is missing",
        "t=1,v1=x": "must be t=seconds,v1=hex",
        sign(b"", "another", now_s=now_s): "was made with another key",
        sign(b"another", "sign", now_s=now_s): "was made with another key, or for another body",
        sign(b"", "sign", now_s=now_s - OLD_S - 2): "is older than 300 s",
    }
    for signature, why in signatures.items():
        status, _, said = await served.ask("POST", "/webhooks/bank?minor=9", webhook_signature=signature)
        assert (status, why in said["error"]) == (401, True)
    assert HEARD == []
    HEARD.append(0)  # the first one is lost
    status, _, _ = await served.ask("POST", "/webhooks/bank?minor=9", webhook_signature=sign(b"", "sign", now_s=now_s))
    assert (status, HEARD[-1]) == (200, 9)


def test_a_window_begins_anew() -> None:
    limiter = Limiter(Limit("/rest/", 2, 10))
    assert [limiter.admits("/rest/x", "a", now_s=19.0) for _ in range(3)] == [True, True, False]
    assert [limiter.admits("/rest/x", "a", now_s=20.0) for _ in range(3)] == [True, True, False]
    assert limiter.admits("/other", "a", now_s=20.0)


@played
async def test_a_webhook_is_delivered_until_it_is_answered(served: Served) -> None:
    running = asyncio.create_task(served.application.run())
    await served.ask("POST", "/pay", b'{"minor": 5}', authorization=await served.token())
    async with asyncio.timeout(10):
        await ANSWERED.wait()
    running.cancel()
    await asyncio.wait([running])
    await served.application.end()
    assert HEARD == [5, 5]  # the first time its connection was lost, and nobody knows what it did
    assert (served.application.left_owed, served.pool.open_count) == (0, 0)
    told = served.application.metrics.render()
    assert 'background_task_duration_seconds_count{task="hear",outcome="unknown"} 1' in told
    assert 'background_task_duration_seconds_count{task="hear",outcome="ok"} 1' in told
    status, _, record = await served.ask("GET", "/integrity/record?calls=0&requests=0", integrity_password=PASSWORD)
    calls = [(each["event"], each.get("operation", each.get("outcome"))) for each in record["calls"]["lines"]]
    assert (status, record["owed"]) == (200, 0)
    assert calls == [("invoked", "hear"), ("returned", "unknown"), ("invoked", "hear"), ("returned", "ok")]
    assert [each["service"] for each in record["requests"]["lines"]] == ["bank"]
    status, _, record = await served.ask("GET", "/integrity/record?calls=2&requests=9", integrity_password=PASSWORD)
    assert (record["calls"]["from"], record["calls"]["to"], len(record["calls"]["lines"])) == (2, 4, 2)
    assert (record["requests"]["from"], record["requests"]["lines"]) == (1, [])
    assert (await served.ask("GET", "/integrity/record?calls=all", integrity_password=PASSWORD))[0] == 422
    for wrong in ({}, {"integrity_password": "guessed"}):
        status, _, said = await served.ask("GET", "/integrity/record", **wrong)
        assert (status, "must hold the password" in str(said), PASSWORD in str(said)) == (401, True, False)


@played
async def test_a_webhook_that_fails_for_ever_is_given_up_and_said_to_be(served: Served) -> None:
    application, failing = served.application, Delivery(0.0, "pay", {"wallet_id": 7, "minor": 13})
    application.deliveries.add([failing], now_us=0, origin=CausingCall("pay", 0), retry_s=0.0)
    running = asyncio.create_task(application.run())
    async with asyncio.timeout(10):
        while application.deliveries.outstanding:  # noqa: ASYNC110  (nobody is told of it)
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    await application.end()
    assert (application.record.calls.end, application.left_owed) == (2 * ATTEMPTS_MOST, 1)
    assert "background_tasks_given_up 1" in application.metrics.render()


@played
async def test_a_process_that_is_made_to_die_in_a_call_does_so_and_the_answer_says_it(served: Served) -> None:
    assert SYSTEM.endpoints is not None
    application = Application(SYSTEM, served.pool, dying=lambda operation: float(operation == "show"))
    carried = [await application.call("show", {"wallet_id": 7}) for _ in range(20)]
    told = [encode_return(each.returned) for each in carried if each.returned.was_abandoned]
    assert told, "a call of few steps may end before it"
    assert {each.headers.get("abandoned") for each in told} == {"true"}
    assert {each.status for each in told} <= {500, 504}
    assert not (await application.call("store", {"size": 1})).returned.was_abandoned


@played
async def test_metrics_have_the_plans_names_and_no_names_that_anybody_makes_up(served: Served) -> None:
    who = await served.token()
    for minor in (5, 5, 500, 16):
        await served.ask("POST", "/pay", b'{"minor": %d}' % minor, authorization=who)
    for number in range(3):
        await served.ask("GET", f"/wallets/{number}")
        await served.ask("GET", f"/made-up-{number}")
    status, headers, told = await served.ask("GET", "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = told.splitlines()
    assert "payments_total 2" in lines
    assert 'operation_calls_total{operation="pay",outcome="declined"} 1' in lines
    name = "http_server_duration_seconds_count"
    assert f'{name}{{http_method="GET",http_route="/wallets/{{id}}",http_status_code="200"}} 3' in lines
    assert f'{name}{{http_method="GET",http_route="other",http_status_code="404"}} 3' in lines
    assert f'{name}{{http_method="POST",http_route="/login",http_status_code="200"}} 1' in lines
    assert 'db_pool_connections{state="size"} 1' in lines
    assert "# TYPE event_loop_lag_seconds gauge" in lines
    assert "made-up" not in told


@played
async def test_pages_and_files_are_served(served: Served) -> None:
    assert (await served.ask("GET", "/till/"))[2] == "<!doctype html><title>till</title>"
    sent = [b"x" * 65_536] * 4
    status, _, said = await served.ask("POST", "/files", sent, authorization=await served.token())
    assert (status, said) == (200, {"size": 262_144})


def test_buckets_of_a_histogram_add_up() -> None:
    histogram = Histogram("h", "how long", "who")
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        histogram.observe(seconds, 'a"b\\c\n')
    lines = list(histogram.lines())
    assert lines[0] == 'h_bucket{who="a\\"b\\\\c\\n",le="0.001"} 2'
    assert lines[9] == 'h_bucket{who="a\\"b\\\\c\\n",le="0.35"} 3'
    assert lines[-3:] == [
        'h_bucket{who="a\\"b\\\\c\\n",le="+Inf"} 4',
        'h_sum{who="a\\"b\\\\c\\n"} 99.3015',
        'h_count{who="a\\"b\\\\c\\n"} 4',
    ]
    assert (histogram.count, Metrics({"votes_total": "vote"}).render().count("# TYPE")) == (4, 5)


def test_a_token_says_what_it_was_made_for_until_its_time_is_over_and_to_nobody_else() -> None:
    now = [1_000.0]
    tokens = Tokens(b"secret", lambda: now[0])
    made = tokens.make({"wallet_id": 7})
    assert tokens.read(made) == {"wallet_id": 7}
    forged = Tokens(b"other", lambda: now[0]).make({"wallet_id": 7})
    header, claims, signature = made.split(".")
    _, other, _ = tokens.make({"wallet_id": 8}).split(".")
    for bad in (
        forged,
        f"{header}.{other}.{signature}",
        f"{header}.{claims}.",
        f"{header}.{claims}",
        "",
        ".",
        "a.b.c",
        "ä.ö.ü",
    ):
        assert tokens.read(bad) is None
    now[0] += TOKEN_S + 1
    assert tokens.read(made) is None


def test_it_listens_on_loopback_unless_it_is_told_otherwise() -> None:
    with listen_on("127.0.0.1", 0, may_be_reached=False) as made:
        url = url_of(made)
        port = made.getsockname()[1]
        assert url == f"http://127.0.0.1:{port}"
        with pytest.raises(UsageError, match=rf"--port {port}: nothing can listen there: Address already in use"):
            listen_on("localhost", port, may_be_reached=False)
    with pytest.raises(UsageError, match=r"--host 0.0.0.0: other machines could reach it there") as refused:
        listen_on(EVERYWHERE, 0, may_be_reached=False)
    assert "--reachable-by-others" in (refused.value.hint or "")
    with pytest.raises(UsageError, match="'staging' is no address"):
        listen_on("staging", 0, may_be_reached=True)
    with listen_on(EVERYWHERE, 0, may_be_reached=True) as open_to_all:
        assert isinstance(open_to_all, socket.socket)
