"""What streams cost: a server's websockets or event streams, and the generator's end of them, in processors a message.

    python -m benchmarks.streams [--clients 1000] [--hz 10] [--seconds 10] [--form websocket]

The server is `integrity serve` without a database: its topic says at once that there is a new event, so many times a
second. The clients are those of a run (clients/wire_feeds.py), asked as often as a run asks them. Both are processes of
their own, and what each takes of the processors is counted by the system while messages come: it hangs less on who else
computes than a delay does. Delays are from the event to the client, and of a machine with nothing beside it alone.
"""

import argparse
import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, NoReturn
from uuid import UUID

import uvloop

from integrity.clients.carrier import Carrier
from integrity.clients.http import Server
from integrity.clients.wire_feeds import WireFeed, WireFeeds
from integrity.endpoints.stream import Form
from integrity.events import Noted
from integrity.history import Outcome, Returned, make_operation_id
from integrity.http.origin import Origin
from integrity.load.descriptors import make_room
from integrity.measure.distribution import Distribution, percentiles
from integrity.operation import Operation, Request, Rows
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.serve.application import Application, Carried
from integrity.serve.listening import listen_on, serve, url_of
from integrity.serve.pool import Pool
from integrity.serve.streams import Streams
from integrity.serve.web import Secrets, make_web
from integrity.systems.system import System

OPERATION = "open_stream"
MOST = 10_000
LOOK_S = 0.5
"""So often a run asks a stream what it has brought."""


class Ticking(Application):
    """Has a new event so many times a second."""

    def __init__(self, system: System, hz: float) -> None:
        super().__init__(system, Pool(_no_database, size=0, wait_s=1.0))
        self._hz, self._began_s = hz, time.time()

    async def call(self, *_args: Any, **_options: Any) -> Carried:
        return self._at(int((time.time() - self._began_s) * self._hz), ())

    async def carry_out(
        self,
        _operation: Operation,
        arguments: Mapping[str, Any],
        _operation_id: UUID | None = None,
        *,
        caused_at_us: int | None = None,
    ) -> Carried:
        seen, now = int(arguments["last_sequence"]), int((time.time() - self._began_s) * self._hz)
        at = datetime.now(UTC)
        rows = [{"stream": 1, "sequence": each, "event_id": each, "sent_at": at} for each in range(seen + 1, now + 1)]
        return self._at(now, tuple(rows))

    def _at(self, position: int, rows: Rows) -> Carried:
        made = make_operation_id(time.time_ns() // 1_000_000, Random(0))
        return Carried(made, Returned(Outcome.OK, {"last_sequence": position}, "", 1), rows)


def main() -> None:
    """Print what a message takes of the processors at both ends, and how late it was."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--hz", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--form", choices=[each.value for each in Form], default=Form.WEBSOCKET.value)
    asked = parser.parse_args()
    make_room(asked.clients)
    system = _formed(Form(asked.form))
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, asked.form, asked.hz), daemon=True)
    server.start()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_listen(asked, system, ours.recv(), server.pid or 0))
    finally:
        server.terminate()


async def _listen(asked: argparse.Namespace, system: System, url: str, server: int) -> None:
    subscription = system.subscriptions[OPERATION]
    assert system.endpoints is not None
    host, port = url.removeprefix("http://").split(":")
    target = Server(Origin("http", host, int(port)), system, password="-")  # noqa: S106 - nobody logs in
    feeds = WireFeeds(target, system.endpoints.streams_of(OPERATION), subscription, lambda: time.time_ns() // 1000)
    await feeds.open()
    lines = [feeds.make() for _ in range(asked.clients)]
    before, began_s = (_used_s(os.getpid()), _used_s(server)), time.perf_counter()
    await asyncio.gather(*map(_open, lines))
    opened, took_s = (_used_s(os.getpid()), _used_s(server)), time.perf_counter() - began_s
    lags_ms, missed = Distribution(), [0]
    ends_s = time.perf_counter() + asked.seconds
    await asyncio.gather(
        *(_follow(line, lags_ms, missed, ends_s, number / asked.clients) for number, line in enumerate(lines))
    )
    ended = (_used_s(os.getpid()), _used_s(server))
    messages = len(lags_ms)
    of_opening = [(after - earlier) / asked.clients * 1e6 for earlier, after in zip(before, opened, strict=True)]
    of_message = [(after - earlier) / messages * 1e6 for earlier, after in zip(opened, ended, strict=True)]
    figures = percentiles(lags_ms)
    print(
        f"{asked.clients:,} clients, {asked.form}, {asked.hz:g} a second each: {messages:,} messages, {missed[0]:,} missed"
    )
    print(
        f"opened {asked.clients / took_s:,.0f} a second; processors a stream: clients {of_opening[0]:.0f} us, "
        f"server {of_opening[1]:.0f} us"
    )
    print(f"processors a message: clients {of_message[0]:.1f} us, server {of_message[1]:.1f} us")
    print(f"delay: p50 {figures['p50_ms']:.0f} ms, p99 {figures['p99_ms']:.0f} ms")
    await feeds.abort()


async def _open(line: WireFeed) -> None:
    async def call(carrier: Carrier) -> Returned:
        made = make_operation_id(time.time_ns() // 1_000_000, Random())
        arguments = {"live_event_id": 1, "last_sequence": None, "operation_id": made}
        return await carrier.call(STREAMVOTE.operations[OPERATION], arguments, _nobody, push=lambda rows: None)

    returned = await line.open(call)
    assert returned.outcome is Outcome.OK, returned


async def _follow(line: WireFeed, lags_ms: Distribution, missed: list[int], ends_s: float, phase: float) -> None:
    last = 0

    def take(rows: Rows, at_us: int | None) -> None:
        nonlocal last
        for row in rows:
            lags_ms.append(max(0.0, (at_us or 0) / 1000 - row["sent_at"].timestamp() * 1000))
            missed[0] += row["sequence"] - last - 1 if last else 0
            last = row["sequence"]

    await asyncio.sleep(phase * LOOK_S)
    while time.perf_counter() < ends_s:
        brought = await line.bring({"operation_id": UUID(int=0)}, take, is_last=False)
        assert brought.is_open, "a stream was broken off"
        await asyncio.sleep(LOOK_S)


def _serve(told: Connection, form: str, hz: float) -> None:
    make_room(MOST)
    system = _formed(Form(form))
    assert system.endpoints is not None
    with listen_on("127.0.0.1", 0, may_be_reached=False) as made:
        application = Ticking(system, hz)
        streams = Streams(application, system.endpoints)
        web = make_web(application, system.endpoints, Secrets("-", "-", b"0" * 32), streams)
        for _ in serve(web, made, Noted(url_of(made)), stopping=_until_killed, ending=streams.end):
            told.send(url_of(made))


@contextmanager
def _until_killed(_end: Callable[[], Any]) -> Iterator[None]:
    yield


def _formed(form: Form) -> System:
    """Return the system, its streams of this form."""
    endpoints = STREAMVOTE.endpoints
    assert endpoints is not None
    streams = tuple(replace(each, form=form) for each in endpoints.streams)
    return replace(STREAMVOTE, endpoints=replace(endpoints, streams=streams))


def _used_s(process: int) -> float:
    """Return what a process has taken of the processors."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _no_database() -> NoReturn:
    raise AssertionError("nothing here asks a database")


def _nobody(step: Request) -> NoReturn:
    raise AssertionError(f"a stream asks no outside service, not {step.service}")


if __name__ == "__main__":
    main()
