"""A PostgreSQL connection for the driver, on asyncpg: the hot path of a run.

Every statement is prepared once a connection and kept by its text; behind a pooler (engines/postgresql/pooled.py) each
time, without a name and within a transaction, for which the session's settings hold, too. Measured beside `pgbench -M
prepared` with the same statements at 8 connections: benchmarks/workload.py.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any
from urllib.parse import quote, urlencode

import asyncpg

from integrity.engines.postgresql.connecting import CONNECT_TIMEOUT_S, local_statements, may_be_pooled
from integrity.engines.postgresql.session_settings import ATTEMPTS_MOST, CLIENT, statements_of
from integrity.engines.postgresql.url import options_of
from integrity.engines.target import Target
from integrity.engines.values import text_of
from integrity.faults.conduct import Conduct
from integrity.faults.scene import APPLICATION_NAME
from integrity.operation import Answered, Begin, Isolation, Rows, StatementFailed, Value
from integrity.sql.parameters import number_parameters

# What libpq reads from a URL and asyncpg would send to the server as a setting.
_LIBPQ_ONLY = ("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "gssencmode",
               "channel_binding", "application_name")  # fmt: skip
_Fit = Callable[[Any], Any]
_PLAIN = Begin()
_ENDING = ("FATAL", "PANIC")  # the server closes the connection after saying why
# The last one: asyncpg met the server's farewell in a state where it did not expect it.
_REFUSED = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


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
        self._connection: Any = None
        self._prepared: dict[str, tuple[Any, Callable[[Mapping[str, Value]], Any]]] = {}
        self._is_pooled = False

    @property
    def is_open(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    async def open(self) -> None:
        self._prepared = {}
        self._session_settings = Conduct.session_settings
        try:
            await self._connect()
            if may_be_pooled(self._target) and not self._is_pooled and await self._find_pooler():
                self._is_pooled = True
                await self._connection.close(timeout=2)
                await self._connect()
            if not self._is_pooled:
                await self._set_up()
        except _REFUSED as error:
            self.abort()
            self._connection = None
            raise self._target.unreachable(error) from None

    async def _connect(self) -> None:
        # The statement cache stays on though nothing uses it: without it, asyncpg 0.32 prepares statements unnamed,
        # that is again at each execution, which costs the server half as much again.
        unnamed = {"statement_cache_size": 0} if self._is_pooled else {}
        self._connection = await asyncpg.connect(
            **_arguments(self._target),
            timeout=CONNECT_TIMEOUT_S,
            server_settings={"application_name": APPLICATION_NAME, **self._startup},
            **unnamed,
        )

    async def _find_pooler(self) -> bool:
        """Return whether who answers is another than who was there when the connection was made."""
        async with self._connection.transaction():  # for as long as it lasts the session is one
            asked = await self._connection.prepare("select pg_catalog.pg_backend_pid()", name="")
            return bool(await asked.fetchval() != self._connection.get_server_pid())

    @property
    def _version(self) -> int:
        version = self._connection.get_server_version()
        return int(version.major * 10_000 + version.minor)

    async def _set_up(self) -> None:
        text = statements_of(CLIENT, server_version=self._version)
        for left in range(ATTEMPTS_MOST - 1, -1, -1):
            try:
                await self._connection.execute(text)
            except asyncpg.QueryCanceledError:  # by a limit of the role's own
                if not left:
                    raise
            else:
                return

    async def begin(self, begin: Begin) -> None:
        is_plain = begin == _PLAIN and self._isolation is Isolation.READ_COMMITTED and not self._is_pooled
        text = "begin" if is_plain else f"begin {begin.modes(self._isolation)}"
        try:
            if self._is_pooled:
                text = f"{text}; {self._local_settings()}"
            elif self._conduct is not None and self._conduct.session_settings is not self._session_settings:
                await self._take_settings(self._conduct.session_settings)
            await self._connection.execute(text)
        except Exception as error:
            raise self._failed(error) from error

    def _local_settings(self) -> str:
        """Return what sets for one transaction what holds for a session elsewhere."""
        more = {} if self._conduct is None else self._conduct.session_settings
        return local_statements({**CLIENT, **more}, server_version=self._version)

    async def _take_settings(self, settings: Mapping[str, str]) -> None:
        for name in self._session_settings:
            if name in CLIENT:
                await self._connection.execute("select pg_catalog.set_config($1, $2, false)", name, CLIENT[name])
            else:
                await self._connection.execute(f"reset {name}")
        for name, value in settings.items():
            await self._connection.execute("select pg_catalog.set_config($1, $2, false)", name, value)
        self._session_settings = settings

    async def execute(self, sql: str, parameters: Mapping[str, Value]) -> Rows:
        if self._is_pooled and not self._connection.is_in_transaction():
            await self.begin(_PLAIN)
            try:
                answered = await self.execute(sql, parameters)
            except StatementFailed:
                if self.is_open:
                    await self.rollback()
                raise
            await self.commit()
            return answered
        try:
            prepared = None if self._is_pooled else self._prepared.get(sql)
            if prepared is None:
                prepared = await self._prepare(sql)
            statement, pick = prepared
            rows = await statement.fetch(*pick(parameters))
        except Exception as error:
            raise self._failed(error) from error
        return Answered.by_tag(rows, statement.get_statusmsg() or "")

    async def _prepare(self, sql: str) -> tuple[Any, Callable[[Mapping[str, Value]], Any]]:
        text, names = number_parameters(sql)
        statement = await self._connection.prepare(text)
        fitting = [_FITTING.get(each.name) for each in statement.get_parameters()]
        prepared = (statement, _picker(names, fitting))
        if not self._is_pooled:
            self._prepared[sql] = prepared
        return prepared

    async def has_written(self) -> bool:
        (row,) = await self.execute("select pg_catalog.pg_current_xact_id_if_assigned() is not null as has_written", {})
        return bool(row["has_written"])

    async def commit(self) -> None:
        try:
            answer = await self._connection.execute("commit")
        except Exception as error:
            raise self._failed(error) from error
        if answer != "COMMIT":
            # PostgreSQL answers COMMIT in an aborted transaction with ROLLBACK and no error.
            raise StatementFailed("the transaction had been aborted, its commit was a rollback", sqlstate="25P02")

    async def rollback(self) -> None:
        try:
            await self._connection.execute("rollback")
        except Exception as error:
            raise self._failed(error) from error

    def abort(self) -> None:
        if self._connection is not None:
            self._connection.terminate()

    async def close(self) -> None:
        if self.is_open:
            try:
                await self._connection.close(timeout=2)
            except _REFUSED:
                self.abort()  # it is being thrown away; the server notices

    def _failed(self, error: Exception) -> StatementFailed:
        """Return what the driver is told: refused by the server, or cut off. What is neither is raised again."""
        if isinstance(error, asyncpg.PostgresError):
            severity = getattr(error, "severity_en", None) or getattr(error, "severity", None)
            is_ending = severity in _ENDING or isinstance(error, asyncpg.PostgresConnectionError)
            if not is_ending:
                return StatementFailed(str(error), sqlstate=error.sqlstate)
            self.abort()
            return StatementFailed(f"{error.sqlstate} {error}", sqlstate=None)
        is_cut = isinstance(error, OSError | asyncpg.InternalClientError)
        if is_cut or (isinstance(error, asyncpg.InterfaceError) and not self.is_open):
            self.abort()
            return StatementFailed(str(error) or type(error).__name__, sqlstate=None)
        raise error


def _arguments(target: Target) -> dict[str, Any]:
    """Return what asyncpg connects with: the main parts by themselves, the rest as a URL's options."""
    options = {name: value for name, value in options_of(target.url).items() if name not in _LIBPQ_ONLY}
    arguments: dict[str, Any] = {
        theirs: options.pop(ours)
        for theirs, ours in (("user", "user"), ("password", "password"), ("database", "dbname"))
        if ours in options
    }
    if "host" in options:
        arguments["host"] = options.pop("host").split(",")
    if "port" in options:
        ports = [int(port or 5432) for port in options.pop("port").split(",")]
        arguments["port"] = ports if len(ports) > 1 else ports[0]
    if options:
        arguments["dsn"] = f"postgresql://?{urlencode(options, quote_via=quote)}"
    return arguments


def _picker(names: tuple[str, ...], fitting: Sequence[_Fit | None]) -> Callable[[Mapping[str, Value]], Any]:
    """Return a function from a mapping to the values of those names, in order; itemgetter is twice as fast as a loop."""
    if any(fitting):
        fits = list(zip(names, fitting, strict=True))
        return lambda parameters: tuple(fit(parameters[name]) if fit else parameters[name] for name, fit in fits)
    if not names:
        return lambda _: ()
    if len(names) == 1:
        name = names[0]
        return lambda parameters: (parameters[name],)
    return itemgetter(*names)


def _as_text(value: Any) -> Any:
    return value if value is None or type(value) is str else text_of(value)


def _as_timestamp(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def _as_date(value: Any) -> Any:
    return value.date() if isinstance(value, datetime) else value


_FITTING: Mapping[str, _Fit] = {
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "citext"), _as_text),
    "timestamp": _as_timestamp,
    "date": _as_date,
}
"""By a parameter's type, what the server would read from a value's text: asyncpg takes values of one kind for each type."""
