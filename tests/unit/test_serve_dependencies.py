"""Outside parties as servers of their own: asked over a socket, webhooks come back signed, and troubles are theirs."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp

from integrity.clients.deliveries import CausingCall
from integrity.clients.http import Server
from integrity.clients.outside import OutsideParties
from integrity.endpoints.outside import CAUSED_AT, WEBHOOKS
from integrity.endpoints.record import decode_page
from integrity.errors import UsageError
from integrity.http.origin import read_origin
from integrity.operation import Request, Value
from integrity.reference.safebox.system import SAFEBOX
from integrity.serve.application import Application
from integrity.serve.dependencies import Dependencies, Party
from integrity.serve.dependencies import make_web as make_dependencies
from integrity.serve.dependency_faults import play, read_faults
from integrity.serve.listening import listen_on, url_of
from integrity.serve.pool import Pool
from integrity.serve.web import Secrets, make_web
from integrity.systems.service import Context, Reaction, ServiceSettings
from tests.asgi import ask
from tests.unit.test_serve import HEARD, KEY, PASSWORD, Memory
from tests.unit.test_serve import SYSTEM as TILL

SIGNING = "sign"
SOON_S = 5.0
GOOD = ServiceSettings()


def bank(payload: Mapping[str, Value], context: Context) -> Reaction:
    trouble = context.trouble()
    return context.react({"status": "taken"}, context.webhooks("hear", {"minor": payload["minor"]}), trouble=trouble)


SYSTEM = replace(TILL, services={"bank": bank})


@asynccontextmanager
async def up(make: Callable[[str], ASGIApp]) -> AsyncIterator[str]:
    """Serve on a free port of loopback what is made for its URL."""
    with listen_on("127.0.0.1", 0, may_be_reached=False) as made:
        config = uvicorn.Config(make(url_of(made)), lifespan="on", log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[made]))
        try:
            yield url_of(made)
        finally:
            server.should_exit = True
            await serving


class Till:
    """The till of test_serve.py, whose bank is a server of its own."""

    def __init__(self, party: Party, bank_url: str, url: str) -> None:
        assert SYSTEM.endpoints is not None
        self.party, self.url, self.bank_url = party, url, bank_url
        self.outside = OutsideParties(read_origin(bank_url, place="test"), SYSTEM, webhooks=url, timeout_s=0.1)
        pool = Pool(Memory, size=4, wait_s=1)
        self.application = Application(SYSTEM, pool, outside=self.outside)
        self.web = make_web(self.application, SYSTEM.endpoints, Secrets(PASSWORD, KEY, b"s" * 32, webhook_key=SIGNING))

    async def pay(self, minor: int) -> None:
        await self.application.call("pay", {"wallet_id": 7, "minor": minor})

    async def page(self, since_us: int = 0) -> Any:
        said = await ask(self.web, "GET", f"/integrity/record?since_us={since_us}", {"integrity-password": PASSWORD})
        return decode_page(said[2])

    async def told(self) -> Any:
        """Return the server's record when nothing is owed any more."""
        async with asyncio.timeout(SOON_S):
            while (page := await self.page()).owed:  # noqa: ASYNC110  (it is asked, as a run asks it)
                await asyncio.sleep(0.005)
        return page

    async def behave(self, **settings: Any) -> Any:
        """Pay while the bank behaves so; return what the last call was answered."""
        with self.party.conduct.changed_service("bank", **settings):
            await self.pay(5)
        return (await self.told()).requests.lines[-1]["answer"]


def played(test: Callable[[Till, Dependencies], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def play_it() -> None:
        async def serve() -> None:
            party = Party(SYSTEM, {}, seed=1)
            parties = Dependencies([party], lambda at, system: Server(at, system, api_key=KEY, webhook_key=SIGNING))
            async with up(lambda _: make_dependencies(parties)) as bank_url:
                made: list[Till] = []

                def make(url: str) -> ASGIApp:
                    made.append(Till(party, bank_url, url))
                    return made[0].web

                async with up(make):
                    await test(made[0], parties)

        HEARD[:] = [0]  # of an earlier sending: the first is lost on purpose
        asyncio.run(serve())

    play_it.__name__ = test.__name__
    return play_it


@played
async def test_a_party_is_asked_over_http_and_its_webhook_is_a_call_that_the_record_knows(
    till: Till, parties: Dependencies
) -> None:
    await till.pay(5)
    page = await till.told()
    assert HEARD == [0, 5]
    assert [line["answer"] for line in page.requests.lines] == [{"status": "taken"}]
    assert [(line["event"], line.get("operation")) for line in page.calls.lines] == [
        ("invoked", "hear"),
        ("returned", None),
    ]
    assert page.calls.lines[0]["caused_at_us"] <= page.requests.lines[0]["at_us"]
    rendered = parties.metrics.render()
    assert 'dependency_duration_seconds_count{system="till",service="bank",asked="",code="200"} 1' in rendered
    assert 'dependency_deliveries_total{system="till",service="bank",outcome="ok"} 1' in rendered
    assert parties.left_owed == 0


@played
async def test_each_trouble_is_what_it_is_in_process_and_what_was_not_done_has_no_webhook(
    till: Till, parties: Dependencies
) -> None:
    refused = [await till.behave(error_share=1.0, error_codes=(code,)) for code in (500, 429, 404)]
    assert refused == [{"status": "error", "code": code} for code in (500, 429, 404)]
    assert HEARD == [0]
    assert await till.behave(latency_least_s=0.01, latency_most_s=0.02) == {"status": "taken"}
    assert await till.behave(timeout_share=1.0) == {"status": "timeout"}
    assert await till.behave(duplicate_share=1.0, retry_s=0.0) == {"status": "taken"}
    HEARD.clear()
    HEARD.append(0)
    for _ in range(5):
        assert await till.behave(drop_share=0.9, retry_s=0.001) == {"status": "taken"}
    assert (HEARD, parties.dependencies.drops.count > 0) == ([0, 5, 5, 5, 5, 5], True)
    with till.party.conduct.changed(replay_share=1.0, replay_s=0.001):
        HEARD[:] = [0]
        await till.pay(5)
        await till.told()
        assert HEARD == [0, 5, 5]
    codes = {line.split('code="')[1].split('"')[0] for line in parties.metrics.render().splitlines() if 'code="' in line}
    assert {"200", "500", "429", "404", "timeout"} <= codes


@played
async def test_nobody_there_is_told_from_no_answer_and_what_nobody_knows_is_not_called_nothing(
    till: Till, parties: Dependencies
) -> None:
    gone = OutsideParties(read_origin("http://127.0.0.1:9", place="test"), SYSTEM, webhooks=till.url, timeout_s=0.1)
    cause = CausingCall("pay", 1)
    assert await gone.ask(Request("bank", {"minor": 1}), cause) == {"status": "error", "code": "unreachable"}
    assert await gone.owed(0) is None
    till.application.outside = gone
    status, _, said = await ask(till.web, "GET", "/integrity/record", {"integrity-password": PASSWORD})
    assert (status, "does not say" in said.decode()) == (503, True)
    with pytest.raises(UsageError, match="connection refused"):
        await gone.check()
    with pytest.raises(UsageError, match="has the outside parties of till alone"):
        await OutsideParties(till.outside.origin, SAFEBOX, webhooks=till.url, timeout_s=1).check()
    with pytest.raises(UsageError, match="is no server of outside parties"):
        await OutsideParties(read_origin(till.url, place="test"), SYSTEM, webhooks=till.url, timeout_s=1).check()


@played
async def test_a_webhook_that_nobody_signed_who_may_is_refused_and_counted(till: Till, parties: Dependencies) -> None:
    async def knock(path: str, **headers: str) -> int:
        given = {"apikey": KEY, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return (await ask(till.web, "POST", f"{path}?minor=5", given))[0]

    wrong = f"t=1700000000,v1={'0' * 64}"
    assert [await knock("/webhooks/bank"), await knock("/webhooks/bank", webhook_signature=wrong)] == [401, 401]
    assert await knock("/hear", **{CAUSED_AT: "5"}) == 401, "who says what a call follows from must be known"
    assert await knock("/hear") == 200
    assert (await till.page()).calls.lines == []
    rendered = till.application.metrics.render()
    assert 'webhook_signatures_rejected_total{http_route="/webhooks/bank"} 2' in rendered
    assert 'webhook_signatures_rejected_total{http_route="/hear"} 1' in rendered


@played
async def test_what_is_no_request_to_a_party_is_refused_and_nobody_else_is_sent_anything(
    till: Till, parties: Dependencies
) -> None:
    web = make_dependencies(parties)

    async def knock(path: str, body: bytes = b'{"minor": 5}', headers: Mapping[str, str] = {}) -> tuple[int, str]:
        status, _, said = await ask(web, "POST", path, {WEBHOOKS: till.url, **headers}, body)
        return status, json.loads(said)["error"]

    assert await knock("/till/mint") == (404, "there is no such party: /till/bank")
    assert (await knock("/till/bank", b"{"))[0] == 400
    assert (await knock("/till/bank", b"{}")) == (422, "minor is missing: bank must know it")
    assert (await knock("/till/bank", headers={WEBHOOKS: "http://192.0.2.1:80"}))[0] == 422
    assert (await knock("/till/bank", headers={WEBHOOKS: "nowhere"}))[0] == 422
    assert (await knock("/till/bank", headers={CAUSED_AT: "x"}))[0] == 422
    assert parties.left_owed == 0


def test_a_fault_is_in_force_in_its_window_on_the_parties_that_it_names() -> None:
    party, other = Party(SAFEBOX, {}, seed=1), Party(SYSTEM, {}, seed=1)

    async def watch() -> None:
        always, later = read_faults(["service_error:service=mint,code=429,share=1", "webhook_replay@5-6"], [party, other])
        playing = [asyncio.create_task(play(window, [party, other])) for window in (always, later)]
        await asyncio.sleep(0.01)
        assert party.conduct.services["mint"].error_codes == (429,)
        assert (party.conduct.services["relay"], other.conduct.services["bank"]) == (GOOD, GOOD)
        assert party.conduct.replay_share == 0.0
        for task in playing:
            task.cancel()
        await asyncio.wait(playing)
        assert party.conduct.services["mint"] == GOOD

    asyncio.run(watch())


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("service_eror", "there is no fault"),
        ("db_latency", "is no fault of outside services"),
        ("client_crash@1-2", "is no fault of outside services"),
        ("service_error:service=bank", "none of these systems has such a service"),
        ("service_error@10%-20%", "has no length of which"),
        ("service_error@5-2", "is no window"),
    ],
)
def test_what_is_no_fault_of_parties_is_refused(fault: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_faults([fault], [Party(SAFEBOX, {}, seed=1)])
