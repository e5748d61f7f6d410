"""The calls of a run that stations make: taken into its history and its measures, as they are told.

The run itself makes none. It has what there is once: the record of what the server does by itself, the streams, the
faults, the samples. Who carries the messages (Locust's master) says which stations there are, and when it is over.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from integrity.domain import Key
from integrity.engines.values import json_of
from integrity.errors import RunBroken, quote
from integrity.events import Event, Noted
from integrity.history import Outcome, Returned
from integrity.load.caller import Caller, CallLog
from integrity.load.stations.messages import Messages
from integrity.load.stations.order import StationOrder, key_of
from integrity.load.workload import Workload

CLOCK_ROUNDS = 8
"""A station's clock is compared so often: the fastest answer says most."""
AHEAD_MS_MOST = 50.0
"""Clocks that are known no better than so are told of: the order of calls of two stations rests on them."""


@dataclass(slots=True)
class _Station:
    name: str
    number: int
    best_us: int = 2**62
    ahead_us: int = 0
    rounds: int = 0
    is_over: bool = False
    open: dict[str, tuple[str, int]] = field(default_factory=dict)


class CallsElsewhere:
    """A model of load beside ClosedLoop and OpenLoop.

    Args:
        connection: an open socket to whoever carries the messages.
        over: where the server is, as the run was told.

    Attributes:
        unheard: why not all of the calls may be known; empty: they are.
    """

    def __init__(self, connection: socket.socket, over: str) -> None:
        self._connection, self._over = connection, over
        self._stations: dict[str, _Station] = {}
        self._messages: Messages
        self.unheard = ""

    def join(
        self,
        workload: Workload,
        caller: Caller,
        log: CallLog,
        *,
        stopping: asyncio.Event,
        told: Callable[[Event], None],
    ) -> None:
        """Take part in a run, whose measures are the caller's.

        Args:
            stopping: when set, no more calls are drawn; it sets it where the carrier of messages says so.
            told: told what people should know.
        """
        self._workload, self._caller, self._log = workload, caller, log
        self._stopping, self._told = stopping, told
        self._changed = asyncio.Event()
        self._error: RunBroken | None = None

    async def open(self) -> None:
        """Say that stations may come."""
        self._messages = await Messages.over(self._connection.dup(), self._take, self._gone)
        self._messages.tell("open")

    async def run(self) -> None:
        """Return when it is over, and each station has told its last call."""
        await self._stopping.wait()
        self._messages.tell("tell", worker=None, what={"kind": "end"})
        while not all(each.is_over for each in self._stations.values()):
            self._changed.clear()
            await self._changed.wait()
        self._log.flush()
        if self._error is not None:
            raise self._error

    async def drain(self) -> None:
        """Make what deliveries are owed: stations have made theirs."""

    async def close(self) -> None:
        """Close nothing yet: `abort` does, which comes at any end."""

    def abort(self) -> None:
        """Hear of nobody any more: calls that have not returned are unknown.

        The socket itself stays open as long as the process lives: then the history is loaded, too.
        """
        for station in self._stations.values():
            self._end(station, "not waited for at the end of the run")
        self._messages.close()

    def _take(self, message: Mapping[str, Any]) -> None:
        """Take what whoever carries the messages says, or what a station does through him."""
        match message["kind"]:
            case "joined":
                self._join(message["worker"])
            case "lost":
                self._lose(message["worker"])
            case "stop":
                self._stopping.set()
            case "said":
                station = self._stations.get(message["worker"])
                if station is not None and not station.is_over:
                    self._hear_safely(station, message["what"])

    def _hear_safely(self, station: _Station, said: Mapping[str, Any]) -> None:
        """Hear a station; one that says what no station of ours does ends the run."""
        try:
            self._hear(station, said)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            text = f"{station.name} told what is no message of a station: {type(error).__name__}: {error}"
            self._fail(station, RunBroken(text, hint="Has it the same version of integrity?"))

    def _fail(self, station: _Station, error: RunBroken) -> None:
        self._error = self._error or error
        self._end(station, "its station could not go on")
        self._stopping.set()

    def _hear(self, station: _Station, said: Mapping[str, Any]) -> None:
        match said["kind"]:
            case "clock":
                self._compare(station, said["asked_us"], said["here_us"])
            case "calls":
                self._take_calls(station, said["calls"])
                for line in said["requests"]:
                    self._log.append_request(line.encode())
            case "made":
                self._take_made(station, said["pool"], key_of(said["key"]))
            case "failed":
                self._fail(station, RunBroken(f"on {station.name}: {said['error']}", hint=said["hint"]))
            case "ended":
                self._end(station, "not waited for at the end of the run")

    def _join(self, name: str) -> None:
        if name not in self._stations:
            station = self._stations[name] = _Station(name, len(self._stations))
            self._ask_clock(station)

    def _ask_clock(self, station: _Station) -> None:
        self._tell(station, {"kind": "clock", "asked_us": self._caller.clock.now_us()})

    def _compare(self, station: _Station, asked_us: int, here_us: int) -> None:
        """Compare a station's clock with ours: it was asked and answered somewhere between the two moments here."""
        now_us = self._caller.clock.now_us()
        if now_us - asked_us < station.best_us:
            station.best_us = now_us - asked_us
            station.ahead_us = here_us - (asked_us + now_us) // 2
        station.rounds += 1
        if station.rounds < CLOCK_ROUNDS:
            self._ask_clock(station)
            return
        known_ms, ahead_ms = station.best_us / 2000, station.ahead_us / 1000
        if known_ms > AHEAD_MS_MOST:
            text = f"the clock of {station.name} is {ahead_ms:+.0f} ms from ours, give or take {known_ms:.0f} ms"
            self._told(Noted(f"{text}: the order of its calls and others' is no better known than that"))
        order = StationOrder.of(
            self._workload, self._caller.world, number=station.number, over=self._over, ahead_us=station.ahead_us
        )
        self._tell(station, {"kind": "order", **order.message()})

    def _take_calls(self, station: _Station, lines: list[str]) -> None:
        for line in lines:
            record = orjson.loads(line)
            self._log.append_soon(line.encode())
            if record["event"] == "invoked":
                station.open[record["operation_id"]] = record["operation"], record["intended_at_us"]
                continue
            operation, intended_at_us = station.open.pop(record["operation_id"])
            returned = Returned(Outcome(record["outcome"]), record["reply"], record["error"], record["attempts"])
            self._caller.measures.add(operation, returned, (record["returned_at_us"] - intended_at_us) / 1000)
        self._log.flush()

    def _take_made(self, station: _Station, pool: str, key: Key) -> None:
        """Let a key be drawn by all; who made it draws it already."""
        self._caller.world.add(pool, key)
        for other in self._stations.values():
            if other is not station and not other.is_over:
                self._tell(other, {"kind": "made", "pool": pool, "key": json_of(key)})

    def _lose(self, name: str) -> None:
        station = self._stations.get(name)
        if station is None or station.is_over:
            return
        self.unheard = self.unheard or f"{quote(name)} was lost, with what it had not told of its calls"
        self._told(Noted(f"{quote(name)} was lost: what it had not told of its calls, nobody knows"))
        self._end(station, "its station was lost")

    def _end(self, station: _Station, why: str) -> None:
        """Nothing more comes from a station: what it has not told the end of is unknown."""
        if station.is_over:
            return
        for operation, _ in station.open.values():
            self._caller.measures.add(operation, Returned(Outcome.UNKNOWN, None, why, 1), 0)
        station.open.clear()
        station.is_over = True
        self._changed.set()

    def _gone(self) -> None:
        """Whoever carried the messages is gone, and all stations with him."""
        for name in list(self._stations):
            self._lose(name)
        self._stopping.set()

    def _tell(self, station: _Station, what: Mapping[str, Any]) -> None:
        self._messages.tell("tell", worker=station.name, what=what)
