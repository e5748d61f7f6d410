"""A proxy that stands in front of a database while a test's own, blocking code works through it."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from integrity.engines.target import Target
from integrity.faults.application_gate import ApplicationGate
from integrity.faults.pick import Pick, read_picks
from integrity.proxy.gate import Direction, Ruling
from integrity.proxy.link import Link
from integrity.proxy.message import Message
from integrity.proxy.postgresql.recorder import Recorder
from integrity.proxy.server import HOST, Proxy, address_of
from integrity.proxy.tls import make_context


@dataclass(slots=True)
class Standing:
    """A proxy at work.

    Args:
        url: without options.
        records: what it has written down.
        passed: the messages of all connections, in order.
    """

    url: str
    port: int
    picks: Sequence[Pick]
    counts: Counter[str]
    records: list[Mapping[str, Any]] = field(default_factory=list)
    passed: list[tuple[Direction, Message]] = field(default_factory=list)

    @property
    def cycles(self) -> list[Mapping[str, Any]]:
        return [record for record in self.records if record["event"] == "cycle"]

    @property
    def texts(self) -> list[str]:
        """The statements that were executed."""
        return [each["sql"] for cycle in self.cycles for each in cycle["statements"] if each["is_executed"]]


class Tap:
    """Lets a gate rule, and keeps what it was asked."""

    def __init__(self, gate: ApplicationGate, passed: list[tuple[Direction, Message]]) -> None:
        self._gate, self._passed = gate, passed
        self.ended = gate.ended

    def rule(self, direction: Direction, message: Message) -> Ruling:
        self._passed.append((direction, message))
        return self._gate.rule(direction, message)


@contextmanager
def standing(target: Target, *faults: str, has_tls: bool = False) -> Iterator[Standing]:
    """Give a proxy in front of the database, in a thread of its own, that lets these faults happen and records."""
    found: list[Standing] = []
    is_up, over = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        picks, counts, numbers = read_picks(faults, seed=1), Counter[str](), count(1)
        records: list[Mapping[str, Any]] = []
        passed: list[tuple[Direction, Message]] = []

        def gate_of(link: Link) -> Tap:
            gate = ApplicationGate(link, picks, counts, Random(1), Recorder(next(numbers), records.append))
            return Tap(gate, passed)

        tls = make_context(HOST) if has_tls else None
        proxy = Proxy(address_of(target), gate_of=gate_of, admits_all=True, tls=tls)
        await proxy.start()
        url = Target(proxy.target(target).url.set(query={})).text
        found.append(Standing(url, proxy.port, picks, counts, records, passed))
        is_up.set()
        await over.wait()
        await proxy.close()
        counts.update(proxy.counts)

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    assert is_up.wait(20)
    try:
        yield found[0]
    finally:
        loops[0].call_soon_threadsafe(over.set)
        thread.join(20)
        assert not thread.is_alive()
