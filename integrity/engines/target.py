"""A target: the database that a URL names, and connections to it.

One synchronous connection type each for PostgreSQL (psycopg 3) and SQLite (sqlite3), for everything but the hot path of
the workload, which has its own (clients/).

SQLite has no schemas, so each but the default one is a file of its own beside the one that the URL names, attached under
its name: `venue.db`, `venue.ghostpass.db`, `venue.integrity.db`. SQL that names `ghostpass.wallets` then runs unchanged on
both. The default schema, `public`, is the main file itself, since an application's own SQLite database is one file. Who
knows which schemas it works in attaches those; who looks at the whole database, those whose files are there
(`find_schemas`): a file `venue.NAME.db` beside `venue.db` is a part of that database, whoever made it.
"""

import glob
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString
from urllib.parse import unquote

import psycopg

from integrity.engines.engine import SCHEMES, Engine, find_engine
from integrity.engines.line import Line
from integrity.engines.places import DEFAULT_SCHEMA, MAIN
from integrity.engines.postgresql.accepting import is_accepted
from integrity.engines.postgresql.session_settings import ATTEMPTS_MOST, QUESTIONS, WORK, statements_of
from integrity.engines.postgresql.url import (
    SCHEME,
    Unreadable,
    connection_string,
    read_url,
    write_url,
)
from integrity.engines.refusals import is_full, next_step, reason_of
from integrity.engines.snapshot import Snapshot
from integrity.engines.url import Secret, Url, is_secret
from integrity.errors import NoAnswer, Unreachable, UnsuitableServer, UsageError

if TYPE_CHECKING:
    import sqlalchemy

SERVER_VERSION_LEAST = 13
SQLITE_VERSION_LEAST = (3, 35, 0)  # RETURNING
CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Target:
    """A database URL, parsed and checked.

    Args:
        url: drivername is exactly "postgresql" or "sqlite".
    """

    url: Url

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Return the target that the text names, e.g. postgresql://user@host/name or sqlite:///file.

        Raises:
            UsageError: not a URL, or of another kind of database. The message never holds the password.
        """
        expected = "Expected postgresql://user@host:5432/name or sqlite:///path/to/file."
        text = text.strip()
        try:
            if SCHEME.match(text):
                return cls(read_url(text))
            url = Url.parse(text)
        except ValueError as error:
            shown = "***@" + text.rpartition("@")[2] if "@" in text else text  # before an @ there may be a password
            why = f": {' '.join(str(error).split())}" if isinstance(error, Unreadable) else ""
            raise UsageError(f"not a database URL: {mask(shown)!r}{why}", hint=expected) from None
        kind = SCHEMES.get(url.kind)
        if kind is None:
            raise UsageError(f"no support for databases of kind {url.drivername!r}", hint=expected)
        if kind == "sqlite" and url.database in (None, "", ":memory:"):
            raise UsageError(
                "an SQLite database in memory is gone with each command", hint="Name a file: sqlite:///venue.db"
            )
        return cls(url.set(drivername=kind))

    @property
    def dialect(self) -> str:
        """ "postgresql" or "sqlite"."""
        return self.url.drivername

    @property
    def engine(self) -> "Engine[Target]":
        """The kind of database that it is: what it can be asked for."""
        return find_engine(self.url.drivername)

    @property
    def is_sqlite(self) -> bool:
        return self.url.drivername == "sqlite"

    @property
    def text(self) -> str:
        """The URL with its passwords: for connecting only."""
        return str(self.url) if self.is_sqlite else write_url(self.url, shows_secrets=True)

    def without_secrets(self) -> tuple[str, str]:
        """Return a URL for another program's command line, and the password that it is to be given another way; or "".

        libpq takes the password of a certificate's key from nowhere but a connection string: that one is asked for again.
        """
        password = self.url.password
        revealed = password.reveal() if isinstance(password, Secret) else ""
        query = {name: value for name, value in self.url.query.items() if not is_secret(name)}
        if revealed:
            query.pop("passfile", None)  # libpq would read that one instead of the one that the program is given
        bare = Url(
            self.url.drivername,
            username=self.url.username,
            host=self.url.host,
            port=self.url.port,
            database=self.url.database,
            query=query,
        )
        return write_url(bare), revealed

    def __str__(self) -> str:
        """The URL without its passwords: for people."""
        return str(self.url) if self.is_sqlite else write_url(self.url)

    def __repr__(self) -> str:
        return f"Target({self})"

    @property
    def file(self) -> Path:
        """The file of an SQLite target."""
        assert self.url.database is not None
        return Path(self.url.database)

    def file_of(self, namespace: str) -> Path:
        """Return the SQLite file that holds a schema."""
        if namespace == DEFAULT_SCHEMA:
            return self.file
        return self.file.with_name(f"{self.file.stem}.{namespace}{self.file.suffix or '.db'}")

    def find_schemas(self) -> tuple[str, ...]:
        """Return the schemas of an SQLite database that have a file of their own, by name."""
        ending = self.file.suffix or ".db"
        found = self.file.absolute().parent.glob(f"{glob.escape(self.file.stem)}.*{glob.escape(ending)}")
        names = {file: file.name.removeprefix(f"{self.file.stem}.").removesuffix(ending) for file in found}
        schemas = [name for file, name in names.items() if _SCHEMA.fullmatch(name) and _is_sqlite(file)]
        return tuple(sorted({*schemas} - _NO_FILES))

    def connect(
        self, *, application_name: str = "integrity", settings: Mapping[str, str] = WORK
    ) -> "psycopg.Connection[Any]":
        """Return a new psycopg connection in autocommit mode, its rows as tuples.

        Args:
            settings: of the session; see session_settings.

        Raises:
            Unreachable: no connection, with the reason the server gave.
            UnsuitableServer: PostgreSQL older than 13.
        """
        try:
            connection = psycopg.connect(
                connection_string(self.url),
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_S,
                application_name=application_name,
            )
        except (psycopg.OperationalError, psycopg.ProgrammingError, UnicodeError) as error:
            raise self.unreachable(error) from None
        version = connection.info.server_version // 10_000
        if version < SERVER_VERSION_LEAST:
            connection.close()
            raise UnsuitableServer(
                f"{self} is PostgreSQL {version}; PostgreSQL {SERVER_VERSION_LEAST} or newer is needed",
                hint="Upgrade the server, or leave --database out to use the embedded one.",
            )
        try:
            send_settings(connection, statements_of(settings, server_version=connection.info.server_version))
        except psycopg.Error as error:
            connection.close()
            raise self.unreachable(error) from None
        return connection

    @contextmanager
    def asking(self, *, application_name: str = "integrity") -> "Iterator[psycopg.Connection[Any]]":
        """Give a connection in a read-only transaction, for questions of ours.

        Its settings end with the transaction, so that a pooler's server connection goes back as it was.

        Raises:
            Unreachable: no connection.
            UnsuitableServer: too old.
        """
        connection = self.connect(application_name=application_name, settings={})
        try:
            try:
                begin_with(connection, "isolation level read committed, read only", QUESTIONS)
            except psycopg.Error as error:
                raise self.unreachable(error) from None
            yield connection
        finally:
            connection.close()

    def connect_sqlite(self, namespaces: Sequence[str] = (), *, is_read_only: bool = False) -> sqlite3.Connection:
        """Return a new sqlite3 connection in autocommit mode with the namespaces attached; rows are sqlite3.Row.

        Args:
            namespaces: schemas to attach; a file that does not exist is made; when read only it is left out.

        Raises:
            Unreachable: the file cannot be opened.
            UnsuitableServer: SQLite older than 3.35.
        """
        if sqlite3.sqlite_version_info < SQLITE_VERSION_LEAST:
            raise UnsuitableServer(
                f"this Python has SQLite {sqlite3.sqlite_version}; 3.35 or newer is needed", hint="Use a newer Python."
            )
        mode = "ro" if is_read_only else "rwc"
        try:
            connection = sqlite3.connect(
                f"{self.file.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self.unreachable(error) from None
        try:
            if is_read_only:
                _roll_back_what_was_killed(self.file)
            connection.execute("pragma schema_version")  # opening alone does not read the file
            for namespace in dict.fromkeys(namespaces):
                path = self.file_of(namespace)
                if path == self.file:
                    continue
                if is_read_only and not path.exists():
                    continue
                if is_read_only:
                    _roll_back_what_was_killed(path)
                connection.execute(f'attach database ? as "{namespace}"', (f"{path.absolute().as_uri()}?mode={mode}",))
        except sqlite3.Error as error:
            connection.close()
            refused = self.unreachable(error)
            if "too many attached" in str(error):
                refused.hint = f"Each file {self.file_of('NAME').name} beside it is a schema: move away what is none."
            raise refused from None
        connection.row_factory = sqlite3.Row
        connection.execute("pragma foreign_keys = on")
        return connection

    def open_snapshot(
        self, *, connections: int, timeout_s: float, role: str | None = None
    ) -> AbstractContextManager[Snapshot]:
        """Open a snapshot; it ends, and its connections with it, when the block ends.

        Args:
            connections: how many sessions to open, where the engine can share one snapshot among several.
            timeout_s: the time limit of each query.
            role: whose rights to take on, for the snapshot only; None: those of the role that connects.

        Raises:
            UsageError: there is no such role, it may not be taken on, or the database has no roles.
            Unreachable: no connection, or not that many.
            UnsuitableServer: too old.
        """
        return self.engine.open_snapshot(self, connections=connections, timeout_s=timeout_s, role=role)

    def open_line(
        self,
        schemas: Sequence[str] = (),
        *,
        name: str = "integrity",
        is_read_only: bool = False,
        patience_s: float | None = None,
    ) -> AbstractContextManager[Line]:
        """Open a plain connection; it ends when the block ends.

        Args:
            schemas: that are asked for, where they have to be attached.
            name: by which the server knows the session.
            is_read_only: nothing can be written, and no question takes longer than questions to the catalogue may.
            patience_s: how long to wait for a lock; None: as long as our own statements do.

        Raises:
            Unreachable: no connection.
            UnsuitableServer: too old.
            DatabaseError: the database refused something within the block.
        """
        return self.engine.open_line(self, schemas, name=name, is_read_only=is_read_only, patience_s=patience_s)

    def make_scratch(self, purpose: str) -> "AbstractContextManager[Target]":
        """Make an empty database beside this one, for the block; it is gone afterwards, however that ends.

        Args:
            purpose: a word of its name, e.g. "queries".

        Raises:
            MayNotCreate: the user may not create databases.
            DatabaseError: the server refuses it otherwise.
        """
        return self.engine.make_scratch(self, purpose)

    def sqlalchemy_engine(
        self, namespaces: Sequence[str] = (), *, settings: Mapping[str, str] = WORK
    ) -> "sqlalchemy.Engine":
        """Return an SQLAlchemy engine, for making and reflecting schemas; not for load."""
        import sqlalchemy

        if self.is_sqlite:
            return sqlalchemy.create_engine(
                "sqlite://", creator=lambda: self.connect_sqlite(namespaces), poolclass=sqlalchemy.pool.StaticPool
            )
        return sqlalchemy.create_engine(
            "postgresql+psycopg://", creator=lambda: self.connect(settings=settings), poolclass=sqlalchemy.pool.NullPool
        )

    def unreachable(self, error: Exception) -> Unreachable:
        """Return the error to raise when connecting failed, its password masked."""
        reason = mask(reason_of(error))
        for secret in (self.url.password, *self.url.query.values()):
            if isinstance(secret, Secret) and secret:
                reason = reason.replace(secret.reveal(), "***")
        if self.is_sqlite:
            hint = f"Check that the folder {self.file.absolute().parent} exists and that you may write there."
        else:
            if isinstance(error, psycopg.errors.ConnectionTimeout) and is_accepted(connection_string(self.url)):
                return NoAnswer(
                    f"{self}: no answer: the server takes connections, and lets none in within {CONNECT_TIMEOUT_S} s",
                    hint="Another session may lock its catalogue (lock table pg_class, vacuum full), or it is stopped or "
                    "has no time: see pg_locks from another database of it, or its log; then ask again.",
                )
            known = next_step(error)
            if known is not None:  # the server was reached
                return Unreachable(f"{self}: no answer: {reason}", hint=known, is_full=is_full(error))
            hint = "Check host, port, name, user and password; without --database the embedded server is used."
        return Unreachable(f"cannot connect to {self}: {reason}", hint=hint)


def begin_with(connection: "psycopg.Connection[Any]", modes: LiteralString, settings: Mapping[str, str]) -> None:
    """Begin a transaction in which the settings hold, and for no longer."""
    local = statements_of(settings, server_version=connection.info.server_version, is_local=True)
    send_settings(connection, f"begin transaction {modes}; {local}")


def send_settings(connection: "psycopg.Connection[Any]", text: str) -> None:
    """Send the statements as one text, and again while a limit of the role's own ends them."""
    for left in range(ATTEMPTS_MOST - 1 if text else -1, -1, -1):
        try:
            connection.execute(text.encode())
        except psycopg.errors.QueryCanceled:
            if not left:
                raise
            connection.execute(b"rollback")
        else:
            return


def mask(text: str) -> str:
    """Return the text with passwords in URLs and in `password=` settings replaced by ***."""
    text = _IN_ADDRESS.sub(r"\1:***@", text)
    text = _ENCODED_OPTION.sub(lambda match: f"{match[1]}=***" if is_secret(unquote(match[1])) else match[0], text)
    return _OPTION.sub(r"\1***", text)


# To the last @, and over blanks where nothing ends the address before.
_IN_ADDRESS = re.compile(r"(?<=://)([^/@\s:]*):(?:\S*|[^/?\n]*)@")
_OPTION = re.compile(r"""(password\s*=\s*)('(?:[^'\\]|\\.)*'?|"[^"]*"?|\S+)""", re.IGNORECASE)
_ENCODED_OPTION = re.compile(r"(?<=[?&])([^=&?\s]*%[^=&?\s]*)=[^&\s]*")


# What is spelled the same in every engine, quoted or not.
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]*")
_NO_FILES = frozenset({DEFAULT_SCHEMA, MAIN, "temp"})


def _is_sqlite(file: Path) -> bool:
    """Return whether a file is a database, by its header, or an empty file, which may become one."""
    try:
        with file.open("rb") as opened:
            return opened.read(16) in (b"", b"SQLite format 3\0")
    except OSError:  # who opens it says why it cannot be read
        return True


def _roll_back_what_was_killed(file: Path) -> None:
    """Let SQLite roll back what a killed process left half written: a connection that only reads may not, and sees nothing.

    Where we may not write the file, neither: whoever reads it next says so.
    """
    if not file.with_name(f"{file.name}-journal").exists():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as connection:
        connection.execute("pragma query_only = on")
        connection.execute("select 1 from sqlite_master")
