"""A wire to PostgreSQL, in pipeline mode.

It speaks libpq (through psycopg) synchronously: a begin, a statement and a question about its transaction are one flight,
one round trip, and while it is under way another connection can be asked whether it waits for a lock. Measured on a unix
socket: 31 us for a statement with the question about locks right behind it, against 73 us for the same on asyncpg with
uvloop.

Parameters travel as text and the server infers their types, as in a run.
"""

import selectors
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from integrity.engines.target import Target, mask
from integrity.engines.values import text_of
from integrity.errors import DatabaseError
from integrity.operation import Begin, Isolation, Statement, Value
from integrity.race.play.postgresql.state import OWN_PREFIX, SessionState
from integrity.race.program.program import SNAPSHOT
from integrity.race.program.wire import Answer, Refusal, WireTimeout, distinct_names
from integrity.sql.literals import as_sent
from integrity.sql.parameters import number_parameters

# A first waiter never looks for deadlocks; one that begins to wait while another does looks at once. So the one that
# closes the circle is always the one refused: with the same patience for all, the victim flips (7 of 60 at 10 ms).
PATIENCE = "deadlock_timeout"
PATIENT_MS = "2000000000"
# Of three and more, all look, and nothing goes on before one that began to wait has: so the server decides whether a circle
# is a deadlock or a queue to be reordered, and the one that closed it is refused. That it has looked it says in a notice,
# which is wanted here and not in its log.
_TELLS_LOOKS = "log_lock_waits"
LOOKING = {PATIENCE: PATIENT_MS, _TELLS_LOOKS: "on", "client_min_messages": "log", "log_min_messages": "fatal"}
_LOOKS_IN = "ProcSleep"  # of the server's source, as the notice names it: the text is in the server's language
_SET_PATIENCE = {
    True: Statement(f"select set_config('{PATIENCE}', '1', true)"),
    False: Statement(f"select set_config('{PATIENCE}', '{PATIENT_MS}', true)"),
}
_IDLE = (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)
_RESET_SECONDS = 60.0
# What a transaction holds that others can notice although it has no id: advisory locks, and locks that keep others from
# reading or writing a table. A snapshot alone nobody notices, unless it is a serializable transaction's: what that has read
# decides who is refused, and a deferrable one waits for it. What every statement takes on its tables only those notice that
# lock whole tables, and a snapshot those that wait for all that are older: it counts where an actor does so (MET).
HELD = """
    locktype = 'advisory' or locktype = 'relation' and mode in (
        'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'
    )
"""
_WRITTEN = "pg_catalog.pg_current_xact_id_if_assigned() is not null"
_NOTICEABLE = f"""
select
    {_WRITTEN} as has_written,
    pg_catalog.current_setting('transaction_isolation') as level,
    {_WRITTEN}
    or pg_catalog.current_setting('transaction_isolation') = 'serializable'
"""
_HOLDS = "exists (select from pg_catalog.pg_lock_status() where pid = pg_catalog.pg_backend_pid() and ({}))"
# What a reader can hold, by the lock on a whole table that it is in the way of: the server's own table of conflicts.
MET: Mapping[str, frozenset[str]] = {
    "ShareLock": frozenset({"RowExclusiveLock"}),
    "ShareRowExclusiveLock": frozenset({"RowExclusiveLock"}),
    "ExclusiveLock": frozenset({"RowExclusiveLock", "RowShareLock"}),
    "AccessExclusiveLock": frozenset({"RowExclusiveLock", "RowShareLock", "AccessShareLock"}),
}
# Of a statement that must be sent outside a transaction: its locks are gone when it is done. `create index concurrently`
# waits for every transaction with an older snapshot, `drop index concurrently` for all that use the table.
MET_BARE = MET["AccessExclusiveLock"] | {SNAPSHOT}


class PostgresWire:
    """One connection in pipeline mode; see wire.Wire for what its methods promise."""

    # In the flight of each statement until one has written; rows locked `for update` count, as they give an id too. Locks
    # take 45 us to ask for, all else 5: so they are asked for only when the transaction is to end.
    written = Statement(f"{_NOTICEABLE} as is_noticeable")
    has_writing_functions = True

    def __init__(
        self, target: Target, *, settings: Mapping[str, str], wishes: Mapping[str, str], has_functions: bool = False
    ) -> None:
        """Connect.

        Args:
            settings: configuration parameters of the session.
            wishes: parameters that not every role may set; `granted` says which of them were.
            has_functions: the database has functions of its own that may change the session when a statement runs.

        Raises:
            Unreachable: no connection, e.g. because the server has none left.
        """
        self._target = target
        self._connection = target.connect(application_name="integrity race")
        self._connection.refuse_pooler(target, "a race needs")
        self.granted: set[str] = set()
        try:
            self._set(settings, wishes)
            self._state = SessionState(self._connection, has_functions=has_functions)
        except psycopg.Error as error:
            self._connection.close()
            raise target.unreachable(error) from None
        self.patience: Mapping[bool, Statement] = _SET_PATIENCE if PATIENCE in self.granted else {}
        self._pgconn: PGconn = self._connection.pgconn
        self.pid: int = self._pgconn.backend_pid
        self.pids = frozenset({self.pid})
        self.looks = 0
        self._connection.add_notice_handler(self._note_look)
        self._pgconn.nonblocking = 1
        self._pgconn.enter_pipeline_mode()
        self._transformer = Transformer(self._connection)
        self._names: dict[str, bytes] = {}  # prepared statements
        self._prepared = 0
        self._is_resetting = False
        self._columns: dict[str, tuple[tuple[str, ...], tuple[tuple[int, int], ...]]] = {}
        self._expected: deque[tuple[str, bool]] = deque()  # of the flight under way: its statements; is one prepared?
        self._refusal: Refusal | None = None
        self._answers: list[Answer] = []
        self.is_busy = False
        self.flights = 0  # sent so far
        self._selector = selectors.DefaultSelector()
        self._socket: int = self._pgconn.socket
        self._selector.register(self._socket, selectors.EVENT_READ)

    def fileno(self) -> int:
        """Return the socket, for selectors; also of a connection that is gone."""
        return self._socket

    @property
    def is_made_patient(self) -> bool:
        """See control.Served."""
        return bool(self.patience)

    @property
    def is_refusing(self) -> bool:
        return self._pgconn.transaction_status == TransactionStatus.INERROR

    @property
    def is_in_transaction(self) -> bool:
        return self._pgconn.transaction_status not in _IDLE

    def noticeable(self, standing: frozenset[str]) -> Statement:
        return _noticeable(standing)

    def begin(self, begin: Begin, *, is_deferred: bool) -> Statement:
        return _begin(begin)

    def tells_looks(self, sql: str) -> bool:
        """Return whether it is certain to say that it has looked for a deadlock, if it waits in that statement."""
        return _TELLS_LOOKS in self.granted and not self._state.may_be_silent(sql)

    def reset(self) -> None:
        if self._state.may_have_changed:
            self.send(self._state.reset)
            self._is_resetting = True

    def _finish_reset(self) -> None:
        *_, left = self.wait(_RESET_SECONDS)
        self._is_resetting = self._state.may_have_changed = False
        if left.rows:
            self.ask([Statement(row["command"]) for row in left.rows], seconds=_RESET_SECONDS)
            self._state.may_have_changed = False

    def send(self, commands: Sequence[Statement]) -> None:
        if self._is_resetting:
            self._finish_reset()
        assert not self.is_busy, "a flight is under way"
        try:
            self._send(commands)
        except psycopg.OperationalError as error:
            raise self._broken(error) from None

    def _send(self, commands: Sequence[Statement]) -> None:
        pgconn = self._pgconn
        self.is_busy = True
        self.flights += 1
        self._answers = []
        self._refusal = None
        expected = self._expected
        for command in map(as_sent, commands):
            sql, names = number_parameters(command.sql)
            name = self._names.get(sql)
            if name is None:
                name = b"%s%d" % (OWN_PREFIX.encode(), self._prepared)
                self._prepared += 1
                pgconn.send_prepare(name, sql.encode())
                expected.append((sql, True))
                self._names[sql] = name
            pgconn.send_query_prepared(name, [_encode(command.parameters[key]) for key in names])
            expected.append((sql, False))
        pgconn.pipeline_sync()
        if pgconn.flush():
            self._flush_rest()

    def receive(self) -> list[Answer] | None:
        pgconn = self._pgconn
        try:
            pgconn.consume_input()
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    continue
                if result.status == ExecStatus.PIPELINE_SYNC:
                    self.is_busy = False
                    return self._answers
                self._take(result)
        except psycopg.OperationalError as error:
            raise self._broken(error) from None
        return None

    def wait(self, seconds: float) -> list[Answer]:
        """Return the answers of the flight under way as soon as they are there.

        Raises:
            WireTimeout: they did not come in time.
            DatabaseError: the connection is gone.
        """
        deadline = time.monotonic() + seconds
        while True:
            answers = self.receive()
            if answers is not None:
                return answers
            left = deadline - time.monotonic()
            if left <= 0:
                raise WireTimeout(f"no answer from {self._target} within {seconds:g} s")
            self._selector.select(left)

    def ask(self, commands: Sequence[Statement], *, seconds: float) -> list[Answer]:
        """Send a flight and wait for its answers; one still under way is awaited and dropped."""
        if self.is_busy:
            self.wait(seconds)
        self.send(commands)
        return self.wait(seconds)

    def close(self) -> None:
        self._selector.close()
        self._connection.close()

    def _broken(self, error: psycopg.Error) -> DatabaseError:
        return DatabaseError(
            f"the connection to {self._target} broke: {mask(' '.join(str(error).split()))}",
            hint="The server may have stopped or restarted; run the command again.",
        )

    def cancel(self) -> None:
        self._pgconn.get_cancel().cancel()

    def _set(self, settings: Mapping[str, str], wishes: Mapping[str, str]) -> None:
        for name, value in settings.items():
            self._connection.execute("select set_config(%s, %s, false)", (name, value))
        for name, value in wishes.items():
            try:
                self._connection.execute("select set_config(%s, %s, false)", (name, value))
            except psycopg.errors.InsufficientPrivilege:
                continue
            self.granted.add(name)

    def _note_look(self, notice: psycopg.errors.Diagnostic) -> None:
        self.looks += notice.source_function == _LOOKS_IN

    def _flush_rest(self) -> None:
        """Send what the socket did not take at once, reading meanwhile so that neither side waits for the other."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._pgconn.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while self._pgconn.flush():
                selector.select()
                self._pgconn.consume_input()

    def _take(self, result: PGresult) -> None:
        sql, is_preparing = self._expected.popleft()
        if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            if not is_preparing:
                self._answers.append(self._read(sql, result))
            return
        if result.status == ExecStatus.FATAL_ERROR:
            self._refusal = Refusal(
                (result.error_field(DiagnosticField.SQLSTATE) or b"").decode(),
                (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace"),
            )
        if is_preparing:
            self._names.pop(sql, None)  # the statement itself is answered next, as aborted
        else:
            self._answers.append(Answer(refusal=self._refusal))

    def _read(self, sql: str, result: PGresult) -> Answer:
        tag = (result.command_status or b"").decode()
        self._state.note(sql, tag)
        if not result.nfields:
            return Answer(tag=tag)
        columns = self._columns.get(sql)
        if columns is None:
            numbers = range(result.nfields)
            columns = self._columns[sql] = (
                distinct_names([(result.fname(n) or b"").decode() for n in numbers]),
                tuple((result.ftable(n), result.ftablecol(n)) for n in numbers),
            )
        names, sources = columns
        self._transformer.set_pgresult(result)
        rows = self._transformer.load_rows(0, result.ntuples, lambda values: dict(zip(names, values, strict=True)))
        return Answer(rows=tuple(rows), tag=tag, sources=sources)


def held(standing: frozenset[str]) -> str:
    """Return the condition that a row of pg_locks, which each transaction has some of, is of what others can notice."""
    if SNAPSHOT in standing:
        # Also at read committed: a statement that was sent with its parameters apart keeps its snapshot until the next one.
        return "true"
    modes = ", ".join(f"'{mode}'" for mode in sorted(standing))
    return f"{HELD} or locktype = 'relation' and mode in ({modes})" if modes else HELD


@lru_cache
def _noticeable(standing: frozenset[str]) -> Statement:
    return Statement(f"{_NOTICEABLE} or {_HOLDS.format(held(standing))} as is_noticeable")


@lru_cache(maxsize=len(Isolation) * 4)
def _begin(begin: Begin) -> Statement:
    return Statement(f"begin {begin.modes(Isolation.READ_COMMITTED)}")


def _encode(value: Value) -> bytes | None:
    if type(value) is int or type(value) is str:  # most are
        return str(value).encode()
    text = text_of(value)
    return None if text is None else text.encode()
