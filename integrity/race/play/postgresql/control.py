"""PostgreSQL, asked from beside a race on a connection for control: who waits for whom, what a letter touched.

Whose connections the actors have is nothing to it: it knows the server's processes that serve them.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from selectors import EVENT_READ, DefaultSelector
from typing import Protocol

from integrity.engines.target import Target
from integrity.operation import Isolation, Row, Statement
from integrity.race.play.footprint import LOCKS_SQL, Footprint, Relations
from integrity.race.play.one_core import OneCore
from integrity.race.play.postgresql.state import FUNCTIONS
from integrity.race.play.postgresql.wire import MET, MET_BARE, PostgresWire, held
from integrity.race.play.row_by_row import insert_row_by_row
from integrity.race.play.session import Session
from integrity.race.play.staging import Inserter, Staged, TableFacts, staged, telling_refusal
from integrity.race.program.trace import one_line
from integrity.race.program.wire import Answer, LetterTimeout, StatementRefused, WireTimeout
from integrity.systems.stage import Stage

# One that closes a circle looks for a deadlock within a millisecond; where nobody does, one is refused after this.
_DEADLOCK_SECONDS = 0.25

_SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # Each schedule adds rows; a plan that changes with the size of a table would change what a schedule does.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
}
# What pg_isolation_test_session_is_blocked asks, with the answer to "by whom" from the same moment. Strangers among the
# holders (autovacuum, another client) are left out here: who waits for them alone is taken to be running.
BLOCKERS = """
select
    pg_catalog.pg_blocking_pids(:pid::int4) as blockers,
    pg_catalog.pg_safe_snapshot_blocking_pids(:pid::int4) as unsafe
"""
# Of a transaction in which a statement was refused: it cannot be asked itself. Without an open savepoint all of it is over,
# its virtual id too.
_HELD = """
select
    count(*) filter (where locktype = 'virtualxid') > 0 as is_open,
    count(*) filter (where locktype = 'transactionid' or mode = 'SIReadLock' or {}) > 0 as is_held
from pg_catalog.pg_lock_status()
where pid = :pid::int4
"""
# A table that others cannot see yet, or never will, nobody else holds.
_STRONG = """
select distinct l.mode
from pg_catalog.pg_lock_status() as l
join pg_catalog.pg_class as c on c.oid = l.relation
where l.pid = :pid::int4 and l.locktype = 'relation' and l.granted and c.relpersistence <> 't'
"""
_ACTIVITY = """
select
    pg_catalog.pg_blocking_pids(pid) as strangers,
    nullif(wait_event_type, 'Client') || ' ' || wait_event as waits_for
from pg_catalog.pg_stat_activity
where pid = :pid::int4
"""
_CLOCK = Statement("select clock_timestamp() as now")
# Of generated columns, keys are renamed when runs are compared; the types are for staging.
_COLUMNS = Statement("""
select
    c.oid::bigint as "table",
    n.nspname || '.' || c.relname as table_name,
    case when pg_table_is_visible(c.oid) then c.relname end as short_name,
    a.attnum::int4 as number,
    a.attname as name,
    format_type(a.atttypid, a.atttypmod) as type,
    a.attidentity <> '' or coalesce(pg_get_expr(d.adbin, d.adrelid) like 'nextval(%', false) as is_generated,
    pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) as sequence,
    exists (
        select from pg_catalog.pg_index as i
        where i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 1 and i.indkey[0] = a.attnum
    ) as is_key,
    (
        select array_position(i.indkey::int2[], a.attnum)
        from pg_catalog.pg_index as i
        where i.indrelid = c.oid and i.indisprimary
    ) as key_place,
    coalesce(pg_get_expr(d.adbin, d.adrelid), '') as made_by
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')
""")


class Served(Protocol):
    """What the server does for one actor."""

    @property
    def pid(self) -> int:
        """Its process that works for the actor."""
        ...

    @property
    def pids(self) -> frozenset[int]:
        """Its processes that hold something for the actor."""
        ...

    @property
    def is_made_patient(self) -> bool:
        """Whether it is told along with a statement how long that may wait before a deadlock is looked for."""
        ...

    def tells_looks(self, sql: str) -> bool:
        """Return whether the server is certain to say that it has looked for a deadlock in that statement."""
        ...


class PostgresControl:
    """See engine.RaceEngine for what its methods promise.

    Args:
        letter_seconds_max: a question that takes longer is an error.
        has_books: our own books are written there as well, which, unlike what is raced, are logged.
        unseen: relations of ours that everybody writes to and nobody meets at.
    """

    dialect = "postgresql"
    tells_what_meets = True
    journal_mode = ""
    wakes_at_once = True

    def __init__(
        self, target: Target, *, letter_seconds_max: float, has_books: bool = False, unseen: Collection[int] = ()
    ) -> None:
        self._target = target
        self._settings = {**_SETTINGS, "synchronous_commit": "off"} if has_books else _SETTINGS
        self._letter_seconds_max = letter_seconds_max
        self._relations = Relations()
        self._unseen = frozenset(unseen)
        self._served: dict[str, Served] = {}
        self._selector = DefaultSelector()
        self._core = OneCore()
        self._has_functions = False
        self.connect()
        try:
            answer, functions = self.ask([_COLUMNS, FUNCTIONS])
            self._has_functions = functions.rows[0]["has_functions"]
        except BaseException:
            self.close()
            raise
        generated = [row for row in answer.rows if row["is_generated"]]
        self.generated_columns = frozenset((row["table"], row["number"]) for row in generated)
        self.inserter = Inserter(_facts(answer))

    def connect(self) -> None:
        """Connect to the database that is asked, which may be another one of its name."""
        self._control = self._connect({})
        self._selector.register(self._control, EVENT_READ)

    def disconnect(self) -> None:
        """Let go of the database, which is to be dropped."""
        self._core.remove(self._control.pid)
        self._selector.unregister(self._control)
        self._control.close()

    def _connect(self, wishes: Mapping[str, str]) -> PostgresWire:
        wire = PostgresWire(self._target, settings=self._settings, wishes=wishes, has_functions=self._has_functions)
        self._core.add(wire.pid, wire.fileno())
        return wire

    def close(self) -> None:
        self._core.close()
        self._control.close()
        self._selector.close()

    def relations_in(self, bits: int) -> frozenset[int]:
        """Return the oids of the relations that bits of a footprint stand for."""
        return self._relations.in_bits(bits)

    def ask(self, commands: Sequence[Statement]) -> list[Answer]:
        try:
            answers = self._control.ask(commands, seconds=self._letter_seconds_max)
        except WireTimeout:
            self._control.cancel()  # else what comes next would wait for it too
            raise
        for command, answer in zip(commands, answers, strict=True):
            if answer.refusal:
                reason = f"{answer.refusal.message} ({answer.refusal.sqlstate})"
                raise StatementRefused(reason, sql=command.sql)
        return answers

    def insert(self, stage: Stage) -> Staged:
        self._core.keep()
        with telling_refusal(stage, self.inserter.tables):
            if stage.is_alone:
                return insert_row_by_row(stage, self.ask, self.inserter.tables, dialect=self.dialect)
            (answer,) = self.ask([self.inserter.statement(stage)])
            return staged(stage, self.inserter.read_ids(stage, answer.rows[0]))

    def read_clock(self) -> datetime:
        (answer,) = self.ask([_CLOCK])
        now: datetime = answer.rows[0]["now"]
        return now

    def _why_hanging(self, served: Served) -> str:
        """Return what the server says of a session that is neither done nor waits for another actor."""
        (answer,) = self.ask([Statement(_ACTIVITY, {"pid": served.pid})])
        row = answer.rows[0] if answer.rows else {"strangers": None, "waits_for": None}
        if row["strangers"]:
            holders = ", ".join(str(pid) for pid in row["strangers"])
            return f"waiting for a lock of a client that is no actor (pid {holders})"
        return f"waiting for {row['waits_for']}" if row["waits_for"] else "and the server was still at work on it"

    def find_woken(self, waiting: Sequence[Session], sessions: Sequence[Session]) -> Session | None:
        last = max(waiting, key=lambda session: session.waiting_since)
        is_pair = len(sessions) == 2
        started = time.monotonic()
        before: dict[str, str] = {}
        while True:
            blockers = self._ask_blockers(waiting)
            free = [session for session in waiting if not blockers[session.letter]]
            if free:
                return free[0]
            if not _find_circle(blockers):
                # Answers are moments apart: what none has in two in a row did not come free between them.
                if len(waiting) == 1 or blockers == before:
                    for session in waiting:
                        session.waits_for = blockers[session.letter]
                    return None
                before = blockers
                continue
            seconds = time.monotonic() - started
            if seconds > 2 * self._letter_seconds_max:
                raise LetterTimeout(f"{last.letter} could not be cancelled: {one_line(last.event)}")
            if not last.is_deadlock_victim and seconds > self._decision_seconds(last, is_pair=is_pair):
                last.cancel_as_deadlock_victim()  # where the server does not look for a deadlock, in its place
            self._pause()

    def _pause(self) -> None:
        """Wait a millisecond, while what is under way goes on."""
        self._selector.select(0.001)

    def _decision_seconds(self, last: Session, *, is_pair: bool) -> float:
        """Return how long the server is given to say whether a circle is a deadlock.

        Two that wait for each other hold what the other wants, so it is one. Of more, some may only be before others in a
        queue, which the server can reorder; with a patience that is not ours to set, it looks after its own.
        """
        served = self._served[last.letter]
        if last.is_impatient:
            is_certain = not is_pair and served.tells_looks(sql_of(last))
            return self._letter_seconds_max / 2 if is_certain else _DEADLOCK_SECONDS
        return 0.0 if is_pair or served.is_made_patient else self._letter_seconds_max

    def _ask_blockers(self, waiting: Sequence[Session]) -> dict[str, str]:
        """Return for each session the actors whose locks it waits for."""
        answers = self.ask([Statement(BLOCKERS, {"pid": self._served[session.letter].pid}) for session in waiting])
        return {session.letter: self._ours(answer) for session, answer in zip(waiting, answers, strict=True)}

    def is_held(self, session: Session) -> bool:
        sql = _HELD.format(held(session.standing))
        (answer,) = self.ask([Statement(sql, {"pid": self._served[session.letter].pid})])
        (row,) = answer.rows
        return bool(row["is_open"] and (row["is_held"] or session.level is Isolation.SERIALIZABLE))

    def meets(self, session: Session) -> frozenset[str]:
        if not session.in_transaction:
            return MET_BARE
        (answer,) = self.ask([Statement(_STRONG, {"pid": self._served[session.letter].pid})])
        return frozenset().union(*(MET.get(row["mode"], frozenset()) for row in answer.rows))

    def look(self, session: Session) -> Footprint:
        pids = ",".join(str(pid) for served in self._served.values() for pid in served.pids)
        own = self._served[session.letter].pid
        (answer,) = self.ask([Statement(LOCKS_SQL, {"pid": own, "pids": f"{{{pids}}}"})])
        rows = answer.rows
        if self._unseen:
            rows = tuple(row for row in rows if row["object"] not in self._unseen)
        takes_snapshot = session.opens_transaction and session.level is not Isolation.READ_COMMITTED
        return replace(
            self._relations.read_locks(rows),
            takes_snapshot=takes_snapshot,
            awaits_safety=takes_snapshot and session.is_deferrable,
            level=session.level,
        )

    def _ours(self, answer: Answer) -> str:
        """Return the actors among the processes that hold a lock."""
        pids = {*answer.rows[0]["blockers"], *answer.rows[0]["unsafe"]}
        return "".join(letter for letter, served in self._served.items() if pids & served.pids) if pids else ""


def sql_of(session: Session) -> str:
    return session.event.sql if session.event else ""


def _find_circle(blockers: Mapping[str, str]) -> set[str]:
    """Return the actors that wait for one another in a circle, and those that wait for them."""
    waiting = dict(blockers)
    while outside := {actor for actor, others in waiting.items() if not set(others) & waiting.keys()}:
        waiting = {actor: others for actor, others in waiting.items() if actor not in outside}
    return set(waiting)


def _facts(columns: Answer) -> dict[str, TableFacts]:
    """Return what staging must know of each table, by its name with and, where it is visible, without its schema."""
    tables: dict[str, list[Row]] = {}
    for row in columns.rows:
        for name in filter(None, (row["table_name"], row["short_name"])):
            tables.setdefault(name, []).append(row)
    return {
        name: TableFacts(
            {row["name"]: row["type"] for row in rows},
            next((row["name"] for row in rows if row["sequence"]), ""),
            next((row["sequence"] for row in rows if row["sequence"]), ""),
            next((row["name"] for row in rows if row["is_key"]), ""),
            next((row["made_by"] for row in rows if row["is_key"]), ""),
            tuple(
                row["name"] for row in sorted(rows, key=lambda row: row["key_place"] or 0) if row["key_place"] is not None
            ),
        )
        for name, rows in tables.items()
    }
