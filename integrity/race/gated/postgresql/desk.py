"""The desk: which connection serves which actor, and what the gates have to say to the scheduler.

One actor runs at a time: all others are held at a gate, wait in the server for a lock, or are at their end. So a unit that
comes on a connection which serves nobody belongs to the one that runs, whoever shares the pool. A connection serves its
actor while it is in a transaction of its, or until its answer is delivered. What comes while nobody runs, nobody asked for:
it goes through, and is told.

Gates speak in the proxy's event loop and actors in threads of theirs; the scheduler, in its own, takes in what they have
said when it looks. While a schedule is played it has the loop, and runs it where it waits (mailbox.py).
"""

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from integrity.proxy.link import Link
from integrity.race.gated.ignoring import Ignored
from integrity.race.gated.lent_loop import LentLoop
from integrity.race.gated.mailbox import Mailbox
from integrity.race.gated.postgresql.answer import Result
from integrity.race.gated.postgresql.gate import IDLE, RaceGate, Split
from integrity.race.gated.postgresql.unit import Unit
from integrity.race.program.trace import Return
from integrity.race.program.wire import Refusal

_QUIET_SECONDS = 0.5  # in which a call that was given up sends something, if it goes on


@dataclass(frozen=True, slots=True)
class Arrived:
    """A unit is held at a gate."""

    gate: RaceGate
    unit: Unit


@dataclass(frozen=True, slots=True)
class Executed:
    """A unit is carried out, or refused; its client does not know yet."""

    gate: RaceGate
    result: Result


@dataclass(frozen=True, slots=True)
class Finished:
    """The commit that was kept apart is done, or refused."""

    gate: RaceGate
    result: Result


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone."""

    gate: RaceGate


@dataclass(frozen=True, slots=True)
class Returned:
    """The call is over for whoever made it."""

    value: Return


News = Arrived | Executed | Finished | Lost | Returned


@dataclass(eq=False, slots=True)
class Lane:
    """What concerns one actor, whatever connections it works at: the channel of its session (wire.Channel).

    Args:
        gate: that it works at, or did last.
        news: that it has not taken in.
        flights: units that went on to the server, so far.
        looks: how often the server has looked for a deadlock as it waited.
        is_executing: the server is at work for it, or it waits there.
    """

    letter: str
    desk: "Desk"
    gate: RaceGate | None = None
    news: deque[News] = field(default_factory=deque)
    flights: int = 0
    looks: int = 0
    is_executing: bool = False
    is_made_patient = False

    @property
    def pid(self) -> int:
        """The server's process that works for it."""
        return self.gate.link.backend_pid if self.gate else 0

    @property
    def pids(self) -> frozenset[int]:
        """The server's processes that hold something for it."""
        return frozenset(gate.link.backend_pid for gate in self.desk.gates_used_by(self.letter))

    def tells_looks(self, _sql: str) -> bool:
        """Return whether the server is certain to say that it has looked for a deadlock."""
        return self.desk.is_told_of_looks

    def receive(self) -> list[News] | None:
        """Return the next piece of news, or None."""
        self.desk.take_in()
        return [self.news.popleft()] if self.news else None

    def cancel(self) -> None:
        if self.gate is not None:
            self.desk.cancel(self.gate)

    # What its session asks.

    def forward(self, unit: Unit, *, split: Split, told: Sequence[str]) -> None:
        """Let the unit that is held at its gate go on."""
        assert self.gate is not None
        self.is_executing = True
        self.flights += 1
        self.desk.call(partial(self.gate.forward, unit, split=split, told=told))

    def finish(self) -> None:
        """Commit what is kept open at its gate."""
        assert self.gate is not None
        self.is_executing = True
        self.flights += 1
        self.desk.call(self.gate.finish)

    def deliver(self) -> None:
        """Let the client have its answer."""
        assert self.gate is not None
        self.desk.deliver(self.gate)


class Desk:
    """See the module.

    Args:
        is_told_of_looks: the server says when it has looked for a deadlock.
        ignored: what is none of the race's.
    """

    def __init__(self, *, is_told_of_looks: bool, ignored: Ignored | None = None) -> None:
        self.ignored = ignored or Ignored()
        self.changes: Mapping[str, str] = {}
        """Texts of statements, and what the server is given in their place."""
        self.locks: Mapping[str, str] = {}
        """Texts of statements, as a trace has them, and what is locked in their transaction before them."""
        self.locked = 0
        """How often that was."""
        self.texts: dict[str, None] = {}
        """Of the statements of schedules, as the server was given them."""
        self.ignored_pids: set[int] = set()
        """The server's processes of connections that are ignored: what they change is not the calls'."""
        self.refusals: Counter[str] = Counter()
        """What the server said to connections that it did not let in."""
        self.is_told_of_looks = is_told_of_looks
        self.is_watching = False
        """A schedule is played; else all passes, as what a setup asks for."""
        self._is_turned_off = False  # and no gate acts any more on what held before
        self.is_cutting = False
        """Whatever arrives is cut off."""
        self._cuts = 0
        self.running = ""
        """The actor that runs; empty: none."""
        self.strays: list[str] = []
        """Statements that came while nobody ran."""
        self.pids: set[int] = set()
        """The server's processes that were at work in the schedule."""
        self._known_pids: set[int] = set()
        self.on_backend: Callable[[int], None] = lambda _pid: None
        """Is told of each of the server's processes, when it is first at work."""
        self._mail: Mailbox[tuple[str, RaceGate | None, News | None]] = Mailbox()
        self._begun: set[str] = set()  # whose call is not over
        self._lanes: dict[str, Lane] = {}
        self._owners: dict[RaceGate, str] = {}
        self._users: dict[RaceGate, str] = {}  # who worked there last: it may keep a lock between two transactions
        self._open: set[RaceGate] = set()

    def open_in(self, loop: LentLoop) -> Callable[[Link], RaceGate]:
        """Return what makes a link's gate, in the proxy's event loop."""
        self._mail.use(loop)
        return self._open_gate

    def _open_gate(self, link: Link) -> RaceGate:
        gate = RaceGate(link, self)
        self._open.add(gate)
        return gate

    def close(self) -> None:
        """Let go of what it waits with; what a call says that ends only later is heard by nobody."""
        self._mail.close()

    def lane(self, letter: str) -> Lane:
        """Return an actor's lane, an empty one the first time."""
        lane = self._lanes.get(letter)
        if lane is None:
            lane = self._lanes[letter] = Lane(letter, self)
        return lane

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to take in, at most so long; return whether there is."""
        return self._mail.wait(seconds)

    # What gates say, in the proxy's event loop, and actors in any thread.

    def noticed(self, unit: Unit) -> None:
        self.texts.update((each.sql, None) for each in unit.statements)

    def ignores(self, gate: RaceGate, unit: Unit) -> bool:
        if not self.ignored.patterns or gate in self._owners:  # of a call's transaction nothing is left out
            return False
        pattern = self.ignored.pattern_of(gate.application_name, unit.sql)
        if pattern:
            self.ignored.counts[pattern] += 1
        if self.ignored.is_of_name(pattern):
            self.ignored_pids.add(gate.link.backend_pid)
        return bool(pattern)

    def arrived(self, gate: RaceGate, unit: Unit) -> None:
        self._post("", gate, Arrived(gate, unit))

    def executed(self, gate: RaceGate, result: Result) -> None:
        self._post("", gate, Executed(gate, result))

    def finished(self, gate: RaceGate, result: Result) -> None:
        self._post("", gate, Finished(gate, result))

    def turned_away(self, refusal: Refusal) -> None:
        self.refusals[f"{refusal.message} ({refusal.sqlstate})"] += 1

    def looked(self, gate: RaceGate) -> None:
        self._post("", gate, None)

    def ended(self, gate: RaceGate) -> None:
        self._open.discard(gate)
        self._post("", gate, Lost(gate))

    def begun(self, letter: str) -> None:
        """The actor's call begins."""
        self._begun.add(letter)
        self.running = letter

    def returned(self, letter: str, value: Return) -> None:
        """The actor's call is over."""
        self._post(letter, None, Returned(value))

    def _post(self, letter: str, gate: RaceGate | None, news: News | None) -> None:
        if gate is not None:
            pid = gate.link.backend_pid
            self.pids.add(pid)
            if pid not in self._known_pids:
                self._known_pids.add(pid)
                self.on_backend(pid)
        self._mail.post((letter, gate, news))

    # What the scheduler asks.

    def take_in(self) -> None:
        """Give what was said to whom it concerns."""
        for said, gate, news in self._mail.hear():
            if self.is_cutting and isinstance(news, Arrived):
                self._cuts += 1
                self._owners.pop(news.gate, None)
                self.call(news.gate.link.cut)
                continue
            letter = said or self._owner(gate, news)
            if isinstance(news, Lost):
                self._owners.pop(news.gate, None)
                self._users.pop(news.gate, None)
            if not letter:
                if isinstance(news, Arrived):
                    self.strays.append(news.unit.sql)
                    self.call(partial(news.gate.pass_on, news.unit))
                continue
            lane = self.lane(letter)
            if news is None:
                lane.looks += 1
                continue
            if isinstance(news, Executed | Finished):
                lane.is_executing = False
            if isinstance(news, Returned):
                self._begun.discard(letter)
            lane.news.append(news)

    def _owner(self, gate: RaceGate | None, news: News | None) -> str:
        """Return whom a gate serves; one that serves nobody, and where something arrives, serves the one that runs now."""
        assert gate is not None
        if isinstance(news, Arrived) and gate not in self._owners and self.running:
            self._owners[gate] = self._users[gate] = self.running
        return self._owners.get(gate, "")

    def gates_of(self, letter: str) -> list[RaceGate]:
        """Return the gates that serve an actor."""
        return [gate for gate, owner in self._owners.items() if owner == letter]

    def gates_used_by(self, letter: str) -> list[RaceGate]:
        """Return the gates that serve an actor, or served it last."""
        return [gate for gate, user in self._users.items() if user == letter]

    @property
    def all_pids(self) -> set[int]:
        """The server's processes of all connections."""
        return {gate.link.backend_pid for gate in list(self._open)}

    @property
    def known_pids(self) -> set[int]:
        """The server's processes of all connections that there are and were."""
        return self._known_pids | self.all_pids

    @property
    def open_pids(self) -> set[int]:
        """Those that were at work in the schedule and of which the last word is not that they are in no transaction."""
        return self.pids - {gate.link.backend_pid for gate in list(self._open) if gate.is_at_rest}

    def cut_off(self, pids: Collection[int]) -> None:
        """Cut off the connections of these processes of the server."""
        for gate in list(self._open):
            if gate.link.backend_pid in pids:
                self.call(gate.link.cut)

    def open_gates_of(self, letter: str) -> list[RaceGate]:
        """Return those of them that are in a transaction."""
        return [gate for gate in self.gates_of(letter) if gate.status != IDLE]

    def deliver(self, gate: RaceGate) -> None:
        """Let a client have its answer; a connection that is in no transaction behind it serves nobody any more."""
        if gate.status == IDLE:
            self._owners.pop(gate, None)
        self.call(gate.deliver)

    def call(self, act: Callable[[], Any]) -> None:
        """Have something done in the proxy's event loop; at once, while the scheduler has that."""
        self._mail.call(act)

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop:
        """The proxy's."""
        return self._mail.loop.loop

    def cancel(self, gate: RaceGate) -> None:
        """Have what runs on a connection cancelled."""
        self._mail.call_later(gate.link.cancel)

    def cut(self, letter: str, *, is_over: bool) -> None:
        """Cut off an actor's connections.

        Args:
            is_over: its call is: those that are in no transaction are somebody's pool's, and stay.
        """
        for gate in self.gates_of(letter):
            self._owners.pop(gate)
            if gate.status != IDLE or not is_over:
                self.call(gate.link.cut)

    def give_up(self, seconds: float) -> str:
        """Let everything pass, cut off whom a unit is held of, and wait until the calls that were begun are over.

        A call that is not by then tries again for ever, perhaps: as long as something arrives, that is cut off.

        Returns:
            the actors whose calls are not over and still send: that would be taken for another's.
        """
        self._mail.lend(is_wanted=False)
        self.is_watching = self._is_turned_off = False
        for letter in self._lanes:
            self.cut(letter, is_over=False)
        self._wait_for_ends(seconds)
        self.is_watching = self.is_cutting = True
        cuts, self._cuts = -1, 0
        until = time.monotonic() + seconds
        while self._begun and cuts < self._cuts and time.monotonic() < until:
            cuts = self._cuts
            self._wait_for_ends(_QUIET_SECONDS)
        self.is_watching = self.is_cutting = False
        return "".join(sorted(self._begun)) if cuts < self._cuts else ""

    def _wait_for_ends(self, seconds: float) -> None:
        """Wait until the calls that were begun are over, at most so long."""
        until = time.monotonic() + seconds
        while self._begun and (left := until - time.monotonic()) > 0:
            self.wait(left)
            self.take_in()

    def begin(self, *, is_watching: bool) -> list[str]:
        """Forget what belongs to the schedule before, and watch again or no more; return what came while nobody ran."""
        self._watch(is_watching)
        self.running = ""
        self.take_in()
        self._users.clear()
        for lane in self._lanes.values():
            self._pass_on_rest(lane)
            lane.is_executing, lane.gate = False, None
        strays, self.strays = self.strays, []
        if not is_watching:
            self._mail.lend(is_wanted=False)
        return strays

    def _watch(self, is_watching: bool) -> None:
        """Have gates hold units, or let all pass, and return when none acts any more on what held before.

        Gates read it in the proxy's loop: set from here, a unit that one holds meanwhile would come behind what is taken in
        next, and after the last schedule nobody takes in anything again. Whoever has the loop is alone with them.
        """
        if is_watching:
            self._mail.lend(is_wanted=True)
        if self._mail.is_lent:
            self.is_watching, self._is_turned_off = is_watching, not is_watching
        if self._mail.is_lent or (self._is_turned_off and not is_watching):
            return
        is_set = threading.Event()

        def turn() -> None:
            self.is_watching = is_watching
            is_set.set()

        self.call(turn)
        is_set.wait()
        self._is_turned_off = not is_watching

    def _pass_on_rest(self, lane: Lane) -> None:
        """Let go what is still held of a call that is over: somebody may wait for it who goes on after the race."""
        for news in lane.news:
            if isinstance(news, Arrived) and self._owners.get(news.gate) == lane.letter:
                self._owners.pop(news.gate)
                self.strays.append(news.unit.sql)
                self.call(partial(news.gate.pass_on, news.unit))
        lane.news.clear()
