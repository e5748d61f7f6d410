"""A stand: a database on which calls that are not ours are raced, with all that stands between it and them.

The proxy leads there, its gates hold what passes, triggers note what a schedule changes, and then the rows are put back.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import psycopg

from integrity.engines.refusals import reason_of
from integrity.engines.target import Target
from integrity.errors import DatabaseError, UsageError
from integrity.numbers import counted
from integrity.proxy.gate import Gate
from integrity.proxy.link import Link
from integrity.proxy.server import HOST, Proxy, address_of
from integrity.proxy.tls import find_context
from integrity.race.gated.ignoring import Ignored
from integrity.race.gated.lent_loop import LentLoop
from integrity.race.gated.postgresql.desk import Desk
from integrity.race.gated.postgresql.remaking import MadeAnew, remaking
from integrity.race.gated.postgresql.troupe import SECONDS_MAX, GatedCalls
from integrity.race.play.postgresql.wire import LOOKING
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Keys, Program
from integrity.race.rows.changes import NOTHING, Record
from integrity.race.rows.keeping import Keeping, between_transactions, choose_keeping
from integrity.race.rows.postgresql.capture import Capture, install
from integrity.race.rows.postgresql.copy import CopyPlace

_PATIENT = {"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0"}
_SPREAD = 1_000_000
_LETTERS_MAX = 400  # of a schedule: whoever sends more statements goes on for ever
_SCHEDULE_WAITS = 3  # times what a call is given between two statements: so long a schedule may take
_SEQUENCES = """
select format('%I.%I', schemaname, sequencename), max_value
from pg_catalog.pg_sequences
where schemaname not in ('integrity_capture') and increment_by > 0
    and has_sequence_privilege(format('%I.%I', schemaname, sequencename), 'update')
order by 1
"""
_STATE = "select last_value, is_called from {}"
_MAY_LOOK = """
select bool_and(has_parameter_privilege(name, 'set')) from unnest(array['deadlock_timeout', 'log_lock_waits']) as name
"""


@dataclass(frozen=True, slots=True)
class Stand:
    """See the module.

    Args:
        target: the database as the calls must reach it: through the proxy.
        keeping: how each schedule gets the same rows.
        ignored: what of the statements is none of the race's.
        desk: of the gates.
        direct: the database without the proxy.
        counts: what became of connections at the proxy, beside those that were served.
        relations_in: oids of the relations that bits of a footprint stand for.
        accompany: is told of an application's process, which then shares the search's core.
        anew: makes the database anew for each schedule; None: what one changed is undone.
        loop: the proxy's: what calls wait for there wakes nobody else while a schedule is played.
    """

    target: Target
    scheduler: Scheduler
    capture: Capture
    keeping: Keeping
    ignored: Ignored
    desk: Desk
    direct: Target
    counts: Mapping[str, int]
    relations_in: Callable[[int], frozenset[int]]
    accompany: Callable[[int], None]
    loop: asyncio.AbstractEventLoop
    anew: MadeAnew | None = None

    def tables_in(self, bits: int) -> frozenset[str]:
        """Return the tables that bits of a footprint stand for, as changes call them."""
        tables = self.capture.tables
        return frozenset(tables[oid].name for oid in self.relations_in(bits) if oid in tables)

    @contextmanager
    def altered(self, drop: str, restore: str) -> Iterator[None]:
        """Have a constraint dropped for the block; of a database of ours. Rows that it forbids are gone behind it.

        Args:
            drop, restore: statements; empty: nothing is dropped.

        Raises:
            DatabaseError: the server refuses one.
        """
        if self.anew is not None:
            with self.anew.altered(drop):
                yield
            return
        self._define(drop)
        try:
            yield
        finally:
            self._define(restore)

    def _define(self, statement: str) -> None:
        if statement:
            between_transactions(self.capture.undo)
            with closing(self.direct.connect(application_name="integrity race rows")) as connection:
                try:
                    connection.execute(statement.encode())
                    connection.commit()
                except psycopg.Error as error:
                    raise DatabaseError(reason_of(error)) from None

    @contextmanager
    def changing(self, changes: Mapping[str, str], *, locks: Mapping[str, str] | None = None) -> Iterator[None]:
        """Give the server other texts in place of some statements' for the block, or what locks rows before them.

        Args:
            changes: text of a statement -> what stands for it.
            locks: text of one of a transaction, as a trace has it -> what is asked there before, with its parameters.
        """
        self.desk.changes, self.desk.locks = changes, locks or {}
        try:
            yield
        finally:
            self.desk.changes, self.desk.locks = {}, {}

    @property
    def statements(self) -> tuple[str, ...]:
        """The texts of the statements that schedules were seen to make, begins included."""
        return tuple(self.desk.texts)

    @property
    def rows(self) -> str:
        """How each schedule gets the same rows, and what was left out, in words."""
        left_out = f"; ignored: {self.ignored}" if self.ignored.patterns else ""
        keeping = replace(self.keeping, seconds=self.anew.seconds_each) if self.anew else self.keeping
        return f"{keeping}{left_out}{''.join(f'; {each}' for each in self.turned_away)}"

    @property
    def turned_away(self) -> tuple[str, ...]:
        """Which connections came and were not served, and why, in words."""
        refused = [
            f"the server did not let {counted(many, 'connection')} in: {said}" for said, many in self.desk.refusals.items()
        ]
        return (*refused, *(f"{many:,} {what}" for what, many in self.counts.items()))


class _Kept:
    """Rows that are put back after each schedule, and set up anew before it."""

    def __init__(
        self, capture: Capture, setup: Callable[[], Keys], put_back: Callable[[], datetime], *, is_set_up_once: bool
    ) -> None:
        self._capture = capture
        self._setup = setup
        self._put_back = put_back
        self._is_set_up_once = is_set_up_once
        self._keys: Keys | None = None
        self.staged = NOTHING

    def renew(self) -> tuple[Keys, datetime]:
        began_at = self._put_back()
        if self._is_set_up_once and self._keys is not None:
            return self._keys, began_at
        self._keys = self._setup()
        if self._is_set_up_once:
            between_transactions(self._capture.mark)  # what it has made stays
        elif self._setup is not dict:
            self.staged = self._capture.read()
        return self._keys, began_at

    def read(self) -> Record:
        return self._capture.read()


@contextmanager
def open_stand(
    target: Target,
    *,
    copy: CopyPlace | None = None,
    against_undoing: str = "",
    setup: Callable[[], Keys] = dict,
    is_set_up_once: bool = False,
    ignore: Sequence[str] = (),
    seconds_max: float = SECONDS_MAX,
    port: int = 0,
    on_played: Callable[[Program, PlayedSchedule], None] = lambda _program, _run: None,
) -> Iterator[Stand]:
    """Yield a stand on a database that may be changed; it is taken down at the end, and the rows are as they were.

    Args:
        copy: the place of a copy of ours, which `target` is then; None: it is somebody's, and is not dropped and made anew.
        against_undoing: why what a schedule of a copy changes is not undone; empty: it is where it can be.
        setup: makes the rows of a schedule, before each, and returns what they are called.
        is_set_up_once: before the first only, and its rows stay.
        ignore: see ignoring.py.
        seconds_max: that a call is given between two statements.
        port: of the proxy; 0: any that is free.
        on_played: is given each program with the schedule that was played of it, and may raise what ends the race.

    Raises:
        UsageError: the rows cannot be kept, or the port is taken.
        DatabaseError: the server is gone, or the role may not.
    """
    with ExitStack() as stack:
        capture = stack.enter_context(install(target))
        keeping = choose_keeping(capture, has_template=copy is not None, against=against_undoing)
        stack.enter_context(spread_sequences(target, is_put_back=copy is None))
        between_transactions(capture.mark)
        may_look = _may_look(target)
        ignored = Ignored(ignore)
        desk = Desk(is_told_of_looks=may_look, ignored=ignored)
        settings = {**_PATIENT, **(LOOKING if may_look else {})}
        with closing(desk), proxy_before(target, desk.open_in, settings, port=port) as proxy:
            anew = stack.enter_context(remaking(copy, capture, desk)) if copy and keeping.is_made_anew else None
            put_back = anew.renew if anew else partial(between_transactions, capture.undo)
            rows = _Kept(capture, setup, put_back, is_set_up_once=is_set_up_once and anew is None)
            troupe = GatedCalls(
                target,
                desk,
                rows,
                seconds_max=seconds_max,
                sees_commands=capture.sees_commands,
                has_patience=may_look,
                is_made_anew=anew is not None,
                blind="; ".join(keeping.blind),
                unseen=capture.log_oids,
            )
            troupe.engine.share_core_with(capture.backend_pid)
            if anew is not None:
                anew.engine = troupe.engine
            scheduler = Scheduler(
                target,
                troupe=troupe,
                letters_max=_LETTERS_MAX,
                seconds_max=_SCHEDULE_WAITS * seconds_max,
                on_played=on_played,
            )
            try:
                place = proxy.target(target)
                yield Stand(
                    target=place,
                    scheduler=scheduler,
                    capture=capture,
                    keeping=keeping,
                    ignored=ignored,
                    desk=desk,
                    direct=target,
                    counts=proxy.counts,
                    relations_in=troupe.engine.relations_in,
                    accompany=troupe.engine.accompany,
                    loop=desk.event_loop,
                    anew=anew,
                )
            finally:
                scheduler.close()
                if copy is None:  # else it is dropped anyway
                    put_back()


@contextmanager
def spread_sequences(target: Target, *, is_put_back: bool = True) -> Iterator[None]:
    """Let each sequence count from a million of its own on, for the block.

    Runs are compared with the keys that they made taken as names, so that no amount and no count may look like one.

    Args:
        is_put_back: they count on from where they were; not of a copy, which is dropped.
    """
    with closing(target.connect(application_name="integrity race rows")) as connection:
        connection.autocommit = True
        sequences = connection.execute(_SEQUENCES.encode()).fetchall()
        before = [(name, *connection.execute(_STATE.format(name).encode()).fetchall()[0]) for name, _ in sequences]
        for number, ((name, most), (_, last, _)) in enumerate(zip(sequences, before, strict=True), start=1):
            first = number * _SPREAD
            if last < first <= most:
                connection.execute(b"select setval(%s::regclass, %s, false)", (name, first))
    try:
        yield
    finally:
        if is_put_back:
            with closing(target.connect(application_name="integrity race rows")) as connection:
                for name, last, is_called in before:
                    connection.execute(b"select setval(to_regclass(%s), %s, %s)", (name, last, is_called))  # it may be gone
                connection.commit()


def _may_look(target: Target) -> bool:
    with closing(target.connect()) as connection:
        ((may,),) = connection.execute(_MAY_LOOK.encode()).fetchall()
        return bool(may)


@contextmanager
def proxy_before(
    target: Target,
    gates_in: Callable[[LentLoop], Callable[[Link], Gate]],
    settings: Mapping[str, str],
    *,
    port: int = 0,
) -> Iterator[Proxy]:
    """Yield a proxy before a database, in a loop and a thread of its own; it encrypts where certificates can be made.

    Args:
        gates_in: returns what makes a link's gate, given that loop.
        settings: that each session begins with.
        port: to listen on; 0: any that is free.

    Raises:
        UsageError: the port is taken.
    """
    lent = LentLoop("integrity proxy")
    lent.start()
    with closing(lent):
        proxy = Proxy(
            address_of(target),
            gate_of=gates_in(lent),
            database=target.url.database or "",
            settings=settings,
            tls=find_context(HOST),
            port=port,
        )
        try:
            try:
                asyncio.run_coroutine_threadsafe(proxy.start(), lent.loop).result()
            except OSError as error:
                raise UsageError(
                    f"port {port} for the proxy cannot be had: {error.strerror}",
                    hint="Does another race run? End it, or say another port: [app] proxy = 6544",
                ) from None
            yield proxy
        finally:
            lent.give_back()
            asyncio.run_coroutine_threadsafe(proxy.close(), lent.loop).result()
