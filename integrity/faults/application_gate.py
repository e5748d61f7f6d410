"""The gate in front of anybody's application: picks what faults strike (pick.py), and has what passes written down.

A statement is struck when the last message of its cycle comes: a simple query itself, or the Sync behind it, so that the
server has not committed it. An explicit commit is struck where it is asked for, and the word of one where it is told.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from random import Random

from integrity.faults.pick import Pick
from integrity.proxy.faults import Delay
from integrity.proxy.gate import Direction, Ruling
from integrity.proxy.link import Link
from integrity.proxy.message import Message
from integrity.proxy.postgresql.commits import CommitReplies, CommitRequests, writes
from integrity.proxy.postgresql.cycles import Conversation, Cycle, Kind
from integrity.proxy.postgresql.recorder import Recorder


class ApplicationGate:
    """One connection's.

    Args:
        picks: of all connections: they count together.
        counts: takes what was done.
        recorder: None: nothing is written down.
    """

    def __init__(
        self, link: Link, picks: Sequence[Pick], counts: Counter[str], random: Random, recorder: Recorder | None
    ) -> None:
        self._link, self._picks, self._counts, self._random, self._recorder = link, picks, counts, random, recorder
        self._conversation = Conversation()
        self._requests, self._replies = CommitRequests(), CommitReplies()
        self._of_transaction: set[int] = set()  # picks that are about a statement of the one that is open
        self._late: dict[Cycle, float] = {}  # whose answers are
        self._kept: list[tuple[Direction, Message]] | None = None  # since the connection is half open
        self._timer: asyncio.TimerHandle | None = None

    def rule(self, direction: Direction, message: Message) -> Ruling:
        """See proxy.gate.Gate."""
        if self._kept is not None:
            self._kept.append((direction, message))
            return Ruling.HOLD
        return self._ask(message) if direction is Direction.TO_SERVER else self._answer(message)

    def ended(self) -> None:
        """See proxy.gate.Gate."""
        if self._timer is not None:
            self._timer.cancel()
        if self._recorder is not None:
            self._recorder.ended(self._conversation)

    def _ask(self, message: Message) -> Ruling:
        conversation = self._conversation
        is_commit = self._requests.asks_for_commit(message)
        cycle = conversation.ask(message)
        is_new = conversation.status == "I" and all(each is cycle for each in conversation.unanswered)
        if is_commit and (building := cycle or conversation.building) is not None:
            self._note(building)
        elif cycle is not None and cycle.kind is not Kind.COPY:
            if is_new:
                self._of_transaction.clear()
            self._note(cycle)
        if cycle is not None and self._recorder is not None:
            self._recorder.asked(cycle)
        commits = is_commit or (cycle is not None and is_new and any(writes(each.text) for each in cycle.executed))
        if commits and self._struck("lost_commit"):
            self._counts["commits not delivered"] += 1
            return Ruling.CUT
        return self._strike(cycle, message) if cycle is not None and cycle.executes else Ruling.PASS

    def _note(self, cycle: Cycle) -> None:
        """Remember which picks are about this transaction."""
        self._counts["statements"] += len(cycle.executed) if cycle.ends_with else 0
        for place, pick in enumerate(self._picks):
            if any(pick.matches(statement.text) for statement in cycle.executed):
                self._of_transaction.add(place)

    def _struck(self, name: str) -> list[Pick]:
        """Return the picks of that fault that are about this transaction, and strike."""
        found = [self._picks[place] for place in sorted(self._of_transaction) if self._picks[place].fault.name == name]
        return [pick for pick in found if pick.strikes()]

    def _strike(self, cycle: Cycle, message: Message) -> Ruling:
        """Strike a statement on its way to the server."""
        for pick in self._picks:
            if pick.fault.name not in ("connection_reset", "half_open", "db_latency"):
                continue
            if not any(pick.matches(statement.text) for statement in cycle.executed) or not pick.strikes():
                continue
            if pick.fault.name == "connection_reset":
                self._counts["connections reset"] += 1
                return Ruling.RESET
            if pick.fault.name == "half_open":
                self._freeze(pick, message)
                return Ruling.HOLD
            return self._delay(pick, cycle, message)
        return Ruling.PASS

    def _delay(self, pick: Pick, cycle: Cycle, message: Message) -> Ruling:
        least_s = pick.number("ms") / 1000
        delay = Delay(least_s, least_s + pick.number("jitter_ms") / 1000)
        self._counts["statements delayed"] += 1
        if pick.word("direction") != "to_server":
            self._late[cycle] = delay.draw(self._random)
        if pick.word("direction") == "to_client":
            return Ruling.PASS
        self._link.send(Direction.TO_SERVER, [message], delay_s=delay.draw(self._random))
        return Ruling.DROP

    def _freeze(self, pick: Pick, message: Message) -> None:
        self._counts["connections half open"] += 1
        self._kept = [(Direction.TO_SERVER, message)]
        self._link.freeze()
        if for_s := pick.number("for_s"):
            end = self._thaw if pick.word("then") == "resume" else self._link.reset
            self._timer = asyncio.get_running_loop().call_later(for_s, end)

    def _thaw(self) -> None:
        kept, self._kept = self._kept or [], None
        self._link.thaw()
        for direction in Direction:
            self._link.send(direction, [message for way, message in kept if way is direction])

    def _answer(self, message: Message) -> Ruling:
        if self._recorder is not None and self._link.backend_pid:
            self._recorder.begun(self._link.parameters, self._link.backend_pid)
        if self._replies.tells_of_commit(message) and self._struck("lost_commit_ack"):
            self._counts["commits hidden from their client"] += 1
            return Ruling.CUT
        late_s: float | None = None
        for cycle in self._conversation.answer(message):
            late_s = self._late.pop(cycle, late_s)
            if self._recorder is not None:
                self._recorder.answered(cycle)
        if late_s is None:
            return Ruling.PASS
        self._link.send(Direction.TO_CLIENT, [message], delay_s=late_s)
        return Ruling.DROP
