"""A target: the database that a URL names, and connections to it.

One synchronous connection type each for PostgreSQL (psycopg 3) and SQLite (sqlite3), for everything but the hot path of
the workload, which has its own (clients/).

SQLite has no schemas, so each but the default one is a file of its own beside the one that the URL names, attached under
its name: `venue.db`, `venue.ghostpass.db`, `venue.integrity.db`. SQL that names `ghostpass.wallets` then runs unchanged on
both. The default schema, `public`, is the main file itself, since an application's own SQLite database is one file. Who
knows which schemas it works in attaches those; who looks at the whole database, those whose files are there
(`find_schemas`): a file `venue.NAME.db` beside `venue.db` is a part of that database, whoever made it.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from integrity.engines.engine import Engine
from integrity.engines.known import SCHEMES, find_engine
from integrity.engines.line import Line
from integrity.engines.places import DEFAULT_SCHEMA
from integrity.engines.purpose import Purpose
from integrity.engines.refusals import reason_of
from integrity.engines.snapshot import Snapshot
from integrity.engines.url import Secret, Unreadable, Url, is_secret
from integrity.errors import Unreachable, UsageError, quote_url
from integrity.project import Project

if TYPE_CHECKING:
    import sqlite3

    import psycopg
    import sqlalchemy

    from integrity.engines.postgresql.pooled import ServerConnection


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
        kind = SCHEMES.get(text.partition("://")[0].partition("+")[0]) if "://" in text else None
        try:
            if kind is not None:
                return cls(find_engine(kind).read_url(text))
            named = Url.parse(text).drivername
        except ValueError as error:
            why = f": {' '.join(str(error).split())}" if isinstance(error, Unreadable) else ""
            raise UsageError(f"not a database URL: {quote_url(mask(text))}{why}", hint=expected) from None
        raise UsageError(f"no support for databases of kind {named!r}", hint=expected)

    @classmethod
    def find(cls, project: Project, given: str | None, environment: Mapping[str, str]) -> "Target | None":
        """Return the target that a command line, the environment or the project's settings name; None: nothing does.

        Raises:
            UsageError: it is no URL of a database; the place that names it is said.
        """
        found = project.find_database(given, environment)
        if found is None:
            return None
        place, text = found
        try:
            return cls.parse(text)
        except UsageError as error:
            if text == given:  # it is in front of everybody
                raise
            raise UsageError(f"{place}: {error.message}", hint=error.hint) from None

    @property
    def dialect(self) -> str:
        """ "postgresql" or "sqlite"."""
        return self.url.drivername

    @property
    def engine(self) -> "Engine[Target]":
        """The kind of database that it is: what it can be asked for."""
        return find_engine(self.url.drivername)

    @property
    def text(self) -> str:
        """The URL with its passwords: for connecting only."""
        return self.engine.write_url(self.url, shows_secrets=True)

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
        return self.engine.write_url(bare, shows_secrets=True), revealed

    def __str__(self) -> str:
        """The URL without its passwords: for people."""
        return self.engine.write_url(self.url, shows_secrets=False)

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
        from integrity.engines.sqlite.files import find_schemas

        return find_schemas(self.file)

    def connect(
        self, *, application_name: str = "integrity", settings: Mapping[str, str] | None = None
    ) -> "ServerConnection":
        """Return a new psycopg connection in autocommit mode, its rows as tuples.

        Through a pooler the settings hold within `transaction()` only.

        Args:
            settings: of the session, see session_settings; None: those for work.

        Raises:
            Unreachable: no connection, with the reason the server gave.
            UnsuitableServer: PostgreSQL older than 13.
        """
        from integrity.engines.postgresql.connecting import connect
        from integrity.engines.postgresql.session_settings import WORK

        chosen = WORK if settings is None else settings
        return connect(self, application_name=application_name, settings=chosen)

    def asking(self, *, application_name: str = "integrity") -> "AbstractContextManager[psycopg.Connection[Any]]":
        """Give a connection in a read-only transaction, for questions of ours.

        Its settings end with the transaction, so that a pooler's server connection goes back as it was.

        Raises:
            Unreachable: no connection.
            UnsuitableServer: too old.
        """
        from integrity.engines.postgresql.connecting import asking

        return asking(self, application_name=application_name)

    def connect_sqlite(self, namespaces: Sequence[str] = (), *, is_read_only: bool = False) -> "sqlite3.Connection":
        """Return a new sqlite3 connection in autocommit mode with the namespaces attached; rows are sqlite3.Row.

        Args:
            namespaces: schemas to attach; a file that does not exist is made; when read only it is left out.

        Raises:
            Unreachable: the file cannot be opened.
            UnsuitableServer: SQLite older than 3.35.
        """
        from integrity.engines.sqlite.files import connect_files

        return connect_files(self, namespaces, is_read_only=is_read_only)

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

    def sqlalchemy_engine(self, namespaces: Sequence[str] = (), *, purpose: Purpose = Purpose.WORK) -> "sqlalchemy.Engine":
        """Return an SQLAlchemy engine, for making and reflecting schemas; not for load."""
        return self.engine.sqlalchemy_engine(self, namespaces, purpose)

    def require(self) -> None:
        """Raise where it is a file that there is not: said before what is missed in it.

        Raises:
            Unreachable: there is no such file.
        """
        if not self.engine.has_server and not self.file.exists():
            raise self.unreachable(FileNotFoundError(f"there is no file {self.file.absolute()}"))

    def unreachable(self, error: Exception) -> Unreachable:
        """Return the error to raise when connecting failed, its password masked."""
        reason = mask(reason_of(error))
        for secret in (self.url.password, *self.url.query.values()):
            if isinstance(secret, Secret) and secret:
                reason = reason.replace(secret.reveal(), "***")
        return self.engine.unreachable(self, error, reason)


def mask(text: str) -> str:
    """Return the text with passwords in URLs and in `password=` settings replaced by ***."""
    text = _IN_ADDRESS.sub(r"\1:***@", text)
    text = _ENCODED_OPTION.sub(lambda match: f"{match[1]}=***" if is_secret(unquote(match[1])) else match[0], text)
    return _OPTION.sub(r"\1***", text)


# To the last @, and over blanks where nothing ends the address before.
_IN_ADDRESS = re.compile(r"(?<=://)([^/@\s:]*):(?:\S*|[^/?\n]*)@")
_OPTION = re.compile(r"""(password\s*=\s*)('(?:[^'\\]|\\.)*'?|"[^"]*"?|\S+)""", re.IGNORECASE)
_ENCODED_OPTION = re.compile(r"(?<=[?&])([^=&?\s]*%[^=&?\s]*)=[^&\s]*")
