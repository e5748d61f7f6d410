"""Idle searches: those in whose schedules nothing was raced, so that they prove nothing, however many were played.

A search is idle where no call was ever accepted and nothing was committed (each was declined: the rows do not suffice for
one), where a call that is accepted never made a statement, so that no other could meet it (it connects by itself, say), and
where no statement changed a row, on tables in which the race has made none, though calls were accepted that have
some that change rows: those found none. One row that is changed is enough, and so is one call that is accepted, and only
reads: one that always declines beside it may be right. Calls that find nothing to do on rows that were made for them, such
as to empty a cart that is empty, are right as well.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from string import ascii_uppercase

from integrity.engines.known import find_engine
from integrity.numbers import counted
from integrity.operation import Declined, Ok, Unavailable
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.program import Program
from integrity.race.program.trace import Failed, StepPhase, TraceEvent
from integrity.systems.left_open import may_lock, may_write_by_functions

_COUNTED = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})
_QUIET = frozenset(
    {"", "SELECT", "WITH", "VALUES", "TABLE", "FETCH", "SHOW", "EXPLAIN", "BEGIN", "SAVEPOINT", "RELEASE", "SET", "RESET"}
    | {"LOCK", "PRAGMA", "DECLARE", "CLOSE", "DISCARD"}
)
_CHANGES_WITHIN = re.compile(r"\b(?:insert\s+into|update\s+\S+\s+(?:as\s+\S+\s+)?set|delete\s+from|merge\s+into)\b", re.I)


@dataclass(frozen=True, slots=True)
class Idle:
    """Why a search proves nothing.

    Args:
        what: became of all calls, "every call was declined: sold_out".
        schedules: that were played.
        rows: rows with which its calls are likely to do something, as a file of SQL has them; none: nobody knows any.
        silent: the operations that are to blame, as no call of theirs made a statement; none: it is for want of rows.
    """

    what: str
    schedules: int
    rows: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """The whole, in words."""
        return describe_idle(self.what, self.schedules)


@dataclass(slots=True)
class _Opened:
    """The letters of calls with an open transaction that has changed rows, and of those whose functions may have."""

    changed: set[str] = field(default_factory=set)
    by_functions: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Effects:
    """What the calls of a search came to.

    Args:
        dialect: of the database: SQLite's functions write nothing.
        accepted: the letters of calls that were, in one schedule at least.
        is_kept: one committed something, or asked a service.
        meeting: the letters of calls that made a statement, or asked a service: others can come between.
        changing: the letters of calls of which a statement was carried out that changes rows.
        has_changed: one changed some.
        has_rows: the race has made some.
        refused: in how many schedules a call came to each no.
    """

    dialect: str
    accepted: set[str] = field(default_factory=set)
    is_kept: bool = False
    meeting: set[str] = field(default_factory=set)
    changing: set[str] = field(default_factory=set)
    has_changed: bool = False
    has_rows: bool = False
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, run: PlayedSchedule) -> None:
        """Note what the calls of one schedule came to."""
        returns = run.trace.returns.values()
        self.accepted |= {actor for actor, each in run.trace.returns.items() if isinstance(each, Ok)}
        self.is_kept |= bool(run.trace.requests or run.changes)
        self.meeting |= {*run.letters, *(each.actor for each in run.trace.requests)}
        self.has_changed |= bool(run.changes)
        self.has_rows |= bool(run.keys)
        self.refused.update({each.reason for each in returns if isinstance(each, Declined | Unavailable)})
        self.refused.update({each.error for each in returns if isinstance(each, Failed)})
        opened = _Opened()
        for event in run.trace.events:
            if event.phase is not StepPhase.WAITS and event.refusal is None:
                self._add_event(event, opened)

    def _add_event(self, event: TraceEvent, opened: _Opened) -> None:
        verb = event.tag.partition(" ")[0].upper()
        if verb in ("COMMIT", "ROLLBACK"):
            # A transaction that wrote nothing has no commit of its own here: this one wrote, by a function for all we know.
            self.has_changed |= verb == "COMMIT" and event.actor in opened.by_functions
            self.is_kept |= verb == "COMMIT" and event.actor in opened.changed | opened.by_functions
            if not event.sql.lower().startswith("rollback to"):
                opened.changed.discard(event.actor)
                opened.by_functions.discard(event.actor)
            return
        if find_engine(self.dialect).has_levels and may_write_by_functions([event.sql]) and not may_lock([event.sql]):
            opened.by_functions.add(event.actor)
        if event.closes:
            opened.by_functions.discard(event.actor)
        is_within = verb in _QUIET and _CHANGES_WITHIN.search(event.sql) is not None
        if verb in _COUNTED or is_within:
            self.changing.add(event.actor)
        # How many rows a part of a query changed is told by nobody, nor what another command did: some, by all we know.
        has_changed = not event.tag.endswith(" 0") if verb in _COUNTED else is_within or verb not in _QUIET
        if has_changed:
            self.has_changed = True
            opened.changed.add(event.actor)

    def why_idle(self, program: Program, schedules: int) -> Idle | None:
        """Return why the schedules of a program prove nothing; None: they do, or none was played.

        Args:
            schedules: that were played.
        """
        if not schedules or not program.actors:
            return None
        changing = self.changing | {
            letter for letter, each in zip(ascii_uppercase, program.actors, strict=False) if each.is_changing
        }
        silent = self._silent(program) if len(self.meeting) < 2 else ()  # those that meet were raced, whoever stood by
        if silent:
            return Idle(f"no statement was made by {' and '.join(silent)}", schedules, silent=silent)
        if not self.accepted and not self.is_kept:
            what = f"every call was declined: {', '.join(reason for reason, _ in self.refused.most_common())}"
        elif changing & self.accepted and not self.has_changed and not self.has_rows:
            what = "no statement changed a row"
        else:
            return None
        return Idle(what, schedules, tuple(dict.fromkeys(row for each in program.actors for row in each.rows)))

    def _silent(self, program: Program) -> tuple[str, ...]:
        """Return the operations of calls that were accepted, and never made a statement."""
        letters = self.accepted - self.meeting
        calls = zip(ascii_uppercase, program.actors, strict=False)
        return tuple(dict.fromkeys(each.operation for letter, each in calls if letter in letters))


def describe_idle(what: str, schedules: int) -> str:
    """Return what became of all calls, in how many schedules, and what follows."""
    played = f"in all {counted(schedules, 'schedule')}" if schedules > 1 else "in the one schedule"
    return f"{what}, {played}; nothing was raced"
