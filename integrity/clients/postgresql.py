"""A PostgreSQL connection for the driver, on libpq: the hot path of a run.

Every statement is prepared once a connection and kept by its text; behind a pooler (engines/postgresql/pooled.py) each
time, without a name and within a transaction, for which the session's settings hold, too. Parameters travel as text and the
server infers their types, as in a race. A begin waits for the first statement behind it and travels with it: one round trip
less a call.
Measured beside `pgbench -M prepared` with the same statements: benchmarks/workload.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from integrity.engines.postgresql.connecting import CONNECT_TIMEOUT_S, local_statements, may_be_pooled
from integrity.engines.postgresql.session_settings import ATTEMPTS_MOST, CLIENT, statements_of
from integrity.engines.postgresql.url import connection_string, options_of
from integrity.engines.postgresql.wire import Prepared, Wire, WireLost
from integrity.engines.target import Target
from integrity.engines.values import text_of
from integrity.faults.conduct import Conduct
from integrity.faults.scene import APPLICATION_NAME
from integrity.operation import Answered, Begin, Isolation, Rows, StatementFailed, Value
from integrity.sql.parameters import number_parameters

_PLAIN = Begin()
_ENDING = (b"FATAL", b"PANIC")  # the server closes the connection after saying why
_CONNECTION_EXCEPTION = "08"
_CHANGED = ("0A000", "26000")  # what was prepared no longer fits its tables, or is gone
_QUERY_CANCELED = "57014"
_DONE = frozenset(map(int, (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY)))
_Pick = Callable[[Mapping[str, Value]], Sequence[Value]]


class _Reader:
    """Makes rows of one statement's answers, which are all of the same columns.

    Args:
        connection: that they come from, as psycopg knows it.
    """

    __slots__ = ("_columns", "_transformer")

    def __init__(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        self._columns: tuple[str, ...] = ()
        self._transformer: Any = Transformer(connection)

    def answer(self, result: PGresult) -> Answered:
        count = result.ntuples
        answered = Answered(self._rows(result, count)) if count else Answered()
        affected = result.command_tuples
        if affected is not None:
            answered.affected = affected
        return answered

    def _rows(self, result: PGresult, count: int) -> Sequence[Mapping[str, Any]]:
        if self._columns:
            self._transformer.set_pgresult(result, set_loaders=False)
        else:
            self._columns = tuple((result.fname(number) or b"").decode() for number in range(result.nfields))
            self._transformer.set_pgresult(result)
        rows: list[Mapping[str, Any]] = self._transformer.load_rows(0, count, self._row)
        return rows

    def _row(self, values: Sequence[Any]) -> Mapping[str, Any]:
        return dict(zip(self._columns, values))  # noqa: B905  (as many as columns)


@dataclass(slots=True)
class _Prepared:
    """A statement that the server has under a name."""

    name: bytes
    pick: _Pick
    reader: _Reader


def make_connection(
    target: Target, _namespaces: Sequence[str], *, conduct: Conduct | None, startup: Mapping[str, str], has_fine_clock: bool
) -> "PostgresConnection":
    """See connections.make_connection."""
    return PostgresConnection(target, conduct=conduct, startup=startup)


class PostgresConnection:
    """One connection; see connection.Connection for what its methods promise.

    Args:
        target: the database.
        isolation: of transactions that do not ask for a level.
        conduct: whose session settings hold from the next transaction on; None: the server's own hold.
        startup: more that is sent when connecting.
    """

    attempts_most = 20

    def __init__(
        self,
        target: Target,
        *,
        isolation: Isolation = Isolation.READ_COMMITTED,
        conduct: Conduct | None = None,
        startup: Mapping[str, str] = {},
    ) -> None:
        self._target = target
        self._conduct = conduct
        self._startup = startup
        self._session_settings: Mapping[str, str] = Conduct.session_settings
        self._isolation = isolation
        self._wire: Wire | None = None
        self._version = 0
        self._is_pooled = False
        self._begin = ""  # that waits for a statement
        self._prepared: dict[str, _Prepared] = {}
        self._prepared_count = 0
        self._psycopg: psycopg.AsyncConnection[Any] | None = None

    @property
    def is_open(self) -> bool:
        return self._wire is not None and self._wire.is_open

    async def open(self) -> None:
        self._prepared, self._begin = {}, ""
        self._session_settings = Conduct.session_settings
        self.abort()
        await self._connect()
        is_ready = False
        try:
            if may_be_pooled(self._target) and not self._is_pooled and await self._find_pooler():
                self._is_pooled = True
            if not self._is_pooled:
                await self._set_up()
            is_ready = True
        except StatementFailed as failure:
            raise self._target.unreachable(failure) from None
        finally:
            if not is_ready:  # nobody will close what was not handed out: the run may be over, too
                self.abort()

    async def _connect(self) -> None:
        try:
            connection = await psycopg.AsyncConnection.connect(
                connection_string(self._target.url),
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_S,
                **self._asked_at_start(),  # type: ignore[arg-type]  # all of them are options of libpq's
            )
        except (psycopg.Error, OSError, UnicodeError) as error:
            raise self._target.unreachable(error) from None
        self._version = connection.info.server_version
        self._psycopg = connection
        self._wire = Wire(connection)

    async def _find_pooler(self) -> bool:
        """Return whether who answers is another than who was there when the connection was made."""
        result = await self._ask("select pg_catalog.pg_backend_pid()")
        return int(result.get_value(0, 0) or 0) != self._opened().pid

    def _asked_at_start(self) -> dict[str, str]:
        options = [options_of(self._target.url).get("options", "")]
        options += [f"-c {name}={value}" for name, value in self._startup.items()]
        asked = {"application_name": APPLICATION_NAME}
        return asked | ({"options": " ".join(options).strip()} if self._startup else {})

    async def _set_up(self) -> None:
        text = statements_of(CLIENT, server_version=self._version)
        for left in range(ATTEMPTS_MOST - 1, -1, -1):
            try:
                await self._ask(text)
            except StatementFailed as failure:
                if failure.sqlstate != _QUERY_CANCELED or not left:  # by a limit of the role's own
                    raise
            else:
                return

    async def begin(self, begin: Begin) -> None:
        if self._is_pooled:
            await self._ask(f"begin {begin.modes(self._isolation)}; {self._local_settings()}")
            return
        if self._conduct is not None and self._conduct.session_settings is not self._session_settings:
            await self._take_settings(self._conduct.session_settings)
        await self.begin_now()
        is_plain = begin == _PLAIN and self._isolation is Isolation.READ_COMMITTED
        self._begin = "begin" if is_plain else f"begin {begin.modes(self._isolation)}"

    def _local_settings(self) -> str:
        """Return what sets for one transaction what holds for a session elsewhere."""
        more = {} if self._conduct is None else self._conduct.session_settings
        return local_statements({**CLIENT, **more}, server_version=self._version)

    async def begin_now(self) -> None:
        if self._begin:
            await self._ask(self._begin)
            self._begin = ""

    async def _take_settings(self, settings: Mapping[str, str]) -> None:
        for name in self._session_settings:
            if name in CLIENT:
                await self._set(name, CLIENT[name])
            else:
                await self._ask(f"reset {name}")
        for name, value in settings.items():
            await self._set(name, value)
        self._session_settings = settings

    async def _set(self, name: str, value: str) -> None:
        await self.execute("select pg_catalog.set_config(:name, :value, false)", {"name": name, "value": value})

    async def execute(self, sql: str, parameters: Mapping[str, Value]) -> Rows:
        known = self._prepared.get(sql)
        if known is None or self._begin:
            return await (self._execute_pooled if self._is_pooled else self._execute_in_flight)(sql, parameters)
        wire = self._wire or self._opened()
        try:
            (result,) = await wire.execute(known.name, _encode(known.pick(parameters)))
        except WireLost as error:
            raise _lost(error) from None
        if result.status not in _DONE:
            raise self._failure(result, sql)
        return known.reader.answer(result)

    async def _execute_in_flight(self, sql: str, parameters: Mapping[str, Value]) -> Rows:
        """Execute a statement with what comes before it: the begin that waits, and being prepared."""
        begin = self._begin
        asked: list[tuple[str, Mapping[str, Value]]] = [(begin, {}), (sql, parameters)] if begin else [(sql, parameters)]
        flight: list[tuple[bytes | None, Prepared]] = []
        parsed: list[str] = []  # of each result the statement that is prepared; empty: one is executed
        for text, values in asked:
            if (known := self._prepared.get(text)) is not None:
                flight.append((None, (known.name, _encode(known.pick(values)))))
            else:
                numbered, names = number_parameters(text)
                encoded = _encode([values[name] for name in names])
                flight.append((numbered.encode(), (self._name(text, names), encoded)))
                parsed.append(text)
            parsed.append("")
        self._begin = ""
        try:
            results = await self._opened().fly(flight)
        except WireLost as error:
            raise _lost(error) from None
        if results[-1].status in _DONE:
            return self._prepared[sql].reader.answer(results[-1])
        refused = next(place for place, result in enumerate(results) if result.status not in _DONE)
        for text in parsed[refused:]:
            self._forget(text)
        if begin and refused <= parsed.index(""):
            self._begin = begin  # the transaction is not open, so nothing of it may be carried out
        raise self._failure(results[refused], sql)

    async def _execute_pooled(self, sql: str, parameters: Mapping[str, Value]) -> Rows:
        """Execute a statement in a transaction: its own, where none is open."""
        if not self._opened().is_in_transaction:
            await self.begin(_PLAIN)
            try:
                answered = await self._execute_pooled(sql, parameters)
            except StatementFailed:
                if self.is_open:
                    await self.rollback()
                raise
            await self.commit()
            return answered
        text, names = number_parameters(sql)
        encoded = _encode([parameters[name] for name in names])
        try:
            (result,) = await self._opened().execute_unnamed(text.encode(), encoded)
        except WireLost as error:
            raise _lost(error) from None
        if result.status not in _DONE:
            raise self._failure(result, sql)
        return self._reader().answer(result)

    def _name(self, sql: str, names: tuple[str, ...]) -> bytes:
        self._prepared_count += 1
        name = b"integrity_%d" % self._prepared_count
        self._prepared[sql] = _Prepared(name, _picker(names), self._reader())
        return name

    def _reader(self) -> _Reader:
        assert self._psycopg is not None, "it was asked, and so it is open"
        return _Reader(self._psycopg)

    def _forget(self, sql: str) -> None:
        self._prepared.pop(sql, None)

    async def has_written(self) -> bool:
        (row,) = await self.execute("select pg_catalog.pg_current_xact_id_if_assigned() is not null as has_written", {})
        return bool(row["has_written"])

    async def commit(self) -> None:
        if self._begin:
            try:
                await self.begin_now()
            finally:
                self._begin = ""
        if (await self._ask("commit")).command_status != b"COMMIT":
            # PostgreSQL answers COMMIT in an aborted transaction with ROLLBACK and no error.
            raise StatementFailed("the transaction had been aborted, its commit was a rollback", sqlstate="25P02")

    async def rollback(self) -> None:
        if self._begin:
            self._begin = ""  # nobody has heard of it
        else:
            await self._ask("rollback")

    async def _ask(self, text: str) -> PGresult:
        """Send the text as it is; return the result of what came last."""
        try:
            results = await self._opened().ask(text.encode())
        except WireLost as error:
            raise _lost(error) from None
        if results[-1].status not in _DONE:
            raise self._failure(results[-1])
        return results[-1]

    def abort(self) -> None:
        if self._wire is not None:
            self._wire.abort()

    async def close(self) -> None:
        if self._wire is not None:
            self._wire.close()

    def _opened(self) -> Wire:
        if self._wire is None:
            raise WireLost("the connection was never opened")
        return self._wire

    def _failure(self, result: PGresult, sql: str = "") -> StatementFailed:
        """Return what the server refused with; where it has ended the connection, or is to, that is closed."""
        message = (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message or b"").decode(
            errors="replace"
        )
        sqlstate = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        is_ending = result.error_field(DiagnosticField.SEVERITY_NONLOCALIZED) in _ENDING
        if result.status != ExecStatus.FATAL_ERROR:
            message = "it is a COPY, which an operation cannot make"
        elif sqlstate and not is_ending and not sqlstate.startswith(_CONNECTION_EXCEPTION):
            if sqlstate in _CHANGED:
                self._forget(sql)
            return StatementFailed(message, sqlstate=sqlstate)
        self.abort()
        return StatementFailed(f"{sqlstate} {' '.join(message.split())}".strip(), sqlstate=None)


def _lost(error: WireLost) -> StatementFailed:
    return StatementFailed(str(error), sqlstate=None)


def _picker(names: tuple[str, ...]) -> _Pick:
    """Return a function from a mapping to the values of those names, in order; itemgetter is twice as fast as a loop."""
    if not names:
        return lambda _: ()
    if len(names) == 1:
        name = names[0]
        return lambda parameters: (parameters[name],)
    return itemgetter(*names)


def _encode(values: Sequence[Value]) -> list[bytes | None]:
    """Return values as the server reads them; integers, which most are, with no call for each."""
    return [b"%d" % value if type(value) is int else _encode_other(value) for value in values]


def _encode_other(value: Value) -> bytes | None:
    text = value if type(value) is str else text_of(value)
    if text is None:
        return None
    if "\0" in text:
        raise StatementFailed('invalid byte sequence for encoding "UTF8": 0x00', sqlstate="22021")  # it would end there
    return text.encode()
