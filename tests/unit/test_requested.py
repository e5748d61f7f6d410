"""Somebody's own requests under load: what is declared is a system, and its answers say how calls ended, however bad."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, NoReturn
from uuid import UUID

import pytest

from integrity.clients import requests as carriers
from integrity.clients.carrier import Abandon
from integrity.clients.requests import RequestServer, check_paths, sent
from integrity.domain import KeyOf, World
from integrity.errors import Unreachable, UsageError
from integrity.history import Outcome, Returned
from integrity.http.origin import Origin, read_origin
from integrity.operation import Request
from integrity.project import find_project
from integrity.registry import Registry
from integrity.scenarios.requested import target_requests

SHOP = """
[targets.shop]
url = "http://127.0.0.1:8000"
values = { amount = "integer 1..80", number = "counter 1000", key = "uuid", open = "key of (select id from w)", of = 7 }

[targets.shop.login]
requests = ["POST /login"]
bearer = "$.token"

[targets.shop.requests.pay]
request = 'POST /pay/{wallets.id}?n={number} {"amount": {amount}, "of": {of}}'
weight = 3
take = { order = "$.id" }
declined = [402, "sold out"]
checks = [{ status = 200, path = "$.id" }, { name = "is ours", path = "$.shop", equals = 7 }, { under_ms = 60000 }]

[targets.shop.requests.look]
request = "GET /orders/{order}"
after = "pay"
think_s = 0.5
redirects = true
"""
CALL = {"wallets.id": 5, "number": 1000, "amount": 3, "of": 7, "operation_id": UUID(int=7)}


def shop(folder: Path, text: str = SHOP) -> Registry:
    (folder / "integrity.toml").write_text(text)
    return Registry(find_project(folder))


def test_requests_of_a_target_are_a_system(tmp_path: Path) -> None:
    system = shop(tmp_path).loaded_at("shop")
    pay, look = system.operations.values()
    assert (system.name, system.is_requested, pay.weight, look.after, look.think_s) == ("shop", True, 3, "pay", 0.5)
    assert list(pay.arguments) == ["wallets.id", "number", "amount", "of"]
    assert pay.arguments["wallets.id"] == KeyOf("wallets.id")
    assert system.pools == {"wallets.id": "select id from wallets order by 1", "value_open": "select id from w"}
    worlds = [World({"wallets.id": [5]}, turn=(number, 2)) for number in (0, 1)]
    numbers = [[pay.arguments["number"].draw(Random(1), world) for _ in "12"] for world in worlds]
    assert numbers == [[1000, 1002], [1001, 1003]], "processes that share a run never count the same"


@pytest.mark.parametrize(
    ("old", "new", "said", "hint"),
    [
        ("weight = 3", "wieght = 3", "requests.pay.wieght: there is no such key", "Perhaps you meant weight"),
        ("[targets.shop.login]", "[targets.shop.logn]", "targets.shop.logn: there is no such key", "meant login"),
        ('after = "pay"', 'after = "pya"', "no request 'pya' of this target", "Perhaps you meant pay"),
        ('after = "pay"', 'after = "look"', "look after look", "circle"),
        ("{amount},", "{amuont},", "there is no value amuont", "Perhaps you meant amount"),
        ("{order}", "{ordre}", "there is no value ordre", "Perhaps you meant order"),
        ('"integer 1..80"', '"integr 1..80"', "targets.shop.values.amount: 'integr 1..80' says nothing", "meant integer"),
        ("status = 200, path", "stauts = 200, path", "checks.0.stauts: there is no such key", "meant status"),
        ('path = "$.shop", ', "", "equals is of what stands at a path", "scenarios.md"),
        ('"POST /login"', '"PSOT /login"', "login.requests.0: 'PSOT' is no method", "Perhaps you meant POST"),
        ('"$.token"', '"token"', "login.bearer: 'token' says nothing about where a value is", "$.data"),
        ("weight = 3", "weight = -3", "weight", "scenarios.md"),
        ("POST /pay", "POST http://other.example/pay", "'http://other.example' is not at", "path alone"),
    ],
)
def test_a_slip_in_a_target_is_told_with_its_place_and_what_was_meant(
    tmp_path: Path, old: str, new: str, said: str, hint: str
) -> None:
    assert old in SHOP
    registry = shop(tmp_path, SHOP.replace(old, new, 1))

    def read() -> None:
        registry.loaded_at("shop")
        target = target_requests(find_project(tmp_path), "shop")
        check_paths(target, read_origin("http://127.0.0.1:8000", place=""), place="x")

    with pytest.raises(UsageError) as refused:
        read()
    assert said in str(refused.value).replace('"', "'")
    assert hint in str(refused.value)


def test_values_are_sent_as_json_has_them() -> None:
    assert [sent(each) for each in (Decimal("1.50"), Decimal(3), UUID(int=1), None, True)] == [
        1.5, 3, "00000000-0000-0000-0000-000000000001", None, True,
    ]  # fmt: skip


Answers = Callable[[str], bytes | None]


def http(status: int, body: str = "", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body.encode())}", "Content-Type: application/json", *headers]
    return "\r\n".join((*lines, "", body)).encode()


def nobody(request: Request) -> NoReturn:
    raise AssertionError(request)


def ask(folder: Path, answers: Answers, *names: str, abandon: Abandon | None = None) -> tuple[list[Returned], list[str]]:
    """Return what calls of these operations came to, and the heads of the requests that a server got.

    Args:
        answers: to the first line and headers of a request; None: nothing, for good.
    """
    system, got = shop(folder).loaded_at("shop"), list[str]()

    tasks: list[asyncio.Task[Any] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
                length = next((int(each[16:]) for each in head.split("\r\n") if each.startswith("Content-Length: ")), 0)
                got.append(head + (await reader.readexactly(length)).decode())
                answer = http(200, '{"token": "t0ken-of-7"}') if head.startswith("POST /login") else answers(got[-1])
                if answer is None:
                    await asyncio.sleep(60)
                writer.write(answer or b"")
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def work() -> list[Returned]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        origin = Origin("http", "127.0.0.1", server.sockets[0].getsockname()[1])
        made = RequestServer(origin, target_requests(find_project(folder), "shop"), timeout_s=0.3)
        carrier = made.carry(Random(0))
        try:
            called = {**CALL, "order": "a/b"}
            return [await carrier.call(system.operations[name], called, nobody, abandon) for name in names]
        finally:
            carrier.connection.abort()
            server.close()
            for task in tasks:
                assert task is not None
                task.cancel()
            await asyncio.gather(*filter(None, tasks), return_exceptions=True)
            await asyncio.sleep(0)

    return asyncio.run(work()), got


OK = http(200, '{"id": 9, "shop": 7}')


@pytest.mark.parametrize(
    ("answer", "outcome", "said", "checks"),
    [
        (OK, Outcome.OK, "", (True, True, True)),
        (http(200, '{"id": 9, "shop": 8}'), Outcome.OK, "", (True, False, True)),
        (http(200, "{}"), Outcome.UNKNOWN, "there is no id", (False, False, True)),
        (http(200, "no json"), Outcome.UNKNOWN, "is no JSON", (False, False, True)),
        (http(402, '{"error": "balance 12 is too low"}'), Outcome.DECLINED, "balance N is too low", (False, False, True)),
        (http(409, '{"detail": "Sold out"}'), Outcome.DECLINED, "Sold out", (False, False, True)),
        (http(409, '{"detail": "no"}'), Outcome.FAILED, "HTTP 409", (False, False, True)),
        (http(401), Outcome.FAILED, "HTTP 401", (False, False, True)),
        (http(503), Outcome.UNAVAILABLE, "http_503", (False, False, True)),
        (http(500, "boom Bearer t0ken-of-7"), Outcome.UNKNOWN, "boom ***", (False, False, True)),
        (None, Outcome.UNKNOWN, "no answer within 0.3 s", (False, False, False)),
        (b"", Outcome.UNKNOWN, "no answer within", (False, False, False)),
        (b"SSH-2.0 hello\r\n\r\n", Outcome.UNKNOWN, "is no HTTP", (False, False, False)),
        (b"HTTP/1.1 200 X\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 4_194_305, Outcome.UNKNOWN, "4 MiB", (False,) * 3),
        (b"HTTP/1.1 200 X\r\n" + b"A: b\r\n" * 20_000, Outcome.UNKNOWN, "longer than 64 KiB", (False,) * 3),
        (b'HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n\xff\xfe', Outcome.UNKNOWN, "is no JSON", (False, False, True)),
    ],
)  # fmt: skip
def test_an_answer_says_how_a_call_ended(
    tmp_path: Path, answer: bytes | None, outcome: Outcome, said: str, checks: tuple[bool, ...]
) -> None:
    (returned,), got = ask(tmp_path, lambda _: answer, "pay")
    assert (returned.outcome, tuple(held for _, held in returned.checks)) == (outcome, checks), returned
    assert said in f"{returned.error} {returned.reply}"
    assert "POST /pay/5?n=1000" in got[-1]
    assert "authorization: bearer t0ken-of-7" in got[-1].lower()
    assert got[-1].endswith('{"amount": 3, "of": 7}')
    assert "t0ken" not in str(returned)


def test_who_is_no_longer_logged_in_logs_in_anew(tmp_path: Path) -> None:
    answers = iter([OK, http(401), OK])
    returned, got = ask(tmp_path, lambda _: next(answers), "pay", "pay", "pay")
    assert [each.outcome for each in returned] == [Outcome.OK, Outcome.FAILED, Outcome.OK]
    assert [each.split()[1].partition("?")[0] for each in got] == ["/login", "/pay/5", "/pay/5", "/login", "/pay/5"]


def test_a_login_that_is_refused_is_told_and_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise UsageError("login: POST /login was answered with 403, which is no success")

    monkeypatch.setattr(carriers, "log_in", refuse)
    (returned,), got = ask(tmp_path, lambda _: OK, "pay")
    assert (returned.outcome, got) == (Outcome.FAILED, [])
    assert "login: POST /login was answered with 403" in returned.error


@pytest.mark.parametrize(
    ("where", "outcome", "said"),
    [("/orders/1", Outcome.UNKNOWN, "more than 10 redirects"), ("http://127.0.0.1:9/x", Outcome.UNKNOWN, "only http")],
)
def test_redirects_are_followed_at_the_targets_address_and_no_circle_for_ever(
    tmp_path: Path, where: str, outcome: Outcome, said: str
) -> None:
    (returned,), got = ask(tmp_path, lambda _: http(302, "", f"Location: {where}"), "look")
    assert (returned.outcome, len(got) <= 12) == (outcome, True)
    assert said in returned.error
    hops = iter([http(302, "", "Location: /there"), OK])
    (returned,), got = ask(tmp_path, lambda _: next(hops), "look")
    assert (returned.outcome, [each.split()[1] for each in got[1:]]) == (Outcome.OK, ["/orders/a%2Fb", "/there"])


def test_a_client_that_dies_says_what_it_can_know(tmp_path: Path) -> None:
    (before,), got = ask(tmp_path, lambda _: OK, "pay", abandon=Abandon(0))
    assert (before.outcome, before.was_abandoned, len(got)) == (Outcome.FAILED, True, 1)
    (within,), _ = ask(tmp_path, lambda _: None, "pay", abandon=Abandon(2, in_flight=True))
    assert (within.outcome, within.was_abandoned) == (Outcome.UNKNOWN, True)


def test_nobody_there_and_what_speaks_no_tls_are_told(tmp_path: Path) -> None:
    shop(tmp_path)
    target = replace(target_requests(find_project(tmp_path), "shop"), login=())

    async def opened(scheme: str, *, is_closed: bool) -> str:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 X\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if is_closed:
            server.close()
            await server.wait_closed()
        made = RequestServer(Origin(scheme, "127.0.0.1", port), target)
        with pytest.raises(Unreachable) as refused:
            await made.connect().open()
        server.close()
        await asyncio.sleep(0.01)
        return str(refused.value)

    assert "connection refused" in asyncio.run(opened("http", is_closed=True))
    assert "does not speak TLS as we do" in asyncio.run(opened("https", is_closed=False))
    request = replace(target.requests["pay"].request, is_insecure=True)
    looks_away = replace(target, requests={"pay": replace(target.requests["pay"], request=request)})
    kept = RequestServer(Origin("https", "127.0.0.1", 9), looks_away).connect()
    assert kept._tls is not None
    assert kept._tls.verify_mode == ssl.CERT_NONE
