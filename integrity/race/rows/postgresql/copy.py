"""A copy of a database to race on: with its rows, beside it, gone afterwards.

    with reserve_copy(target) as place:             # a name; whatever stands there at the end is dropped
        copied = yield from make_copy(place)        # tells of tables while it copies
        ...                                         # copied.target: its URL, of the same user

Where nobody is connected to the database and its user owns it, the server copies its files. Else it is made of its
definitions and filled over a connection (row_copy.py).

Nobody can guess its name, so that whoever connects to that name was told it. A copy that a killed race left is dropped by
the next one that makes a database, as all temporary ones (engines/postgresql/temporary.py).
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from time import perf_counter
from typing import Any

import psycopg
from psycopg import errors, sql

from integrity.engines.postgresql.copies import copy_database, give_properties, server_beside
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.postgresql.temporary import drop_left_over, temporary_name
from integrity.engines.target import Target, mask
from integrity.engines.transaction import refusal
from integrity.errors import MayNotCreate, Unreachable, UsageError
from integrity.events import Advanced, Job
from integrity.race.play.postgresql.scratch import WITHOUT_AUTOVACUUM
from integrity.race.rows.postgresql.row_copy import copy_by_rows

BYTES_MOST = 1_000_000_000

_APPLICATION = "integrity race copy"
Connection = psycopg.Connection[Any]


class CopyWay(Enum):
    """How a copy was made."""

    FILES = "by the server, from its files"
    ROWS = "from its definitions, row by row"


@dataclass(frozen=True, slots=True)
class CopyPlace:
    """A name for a copy.

    Args:
        target: where it will be; of the same user as `like`.
        server: a connection to another database of the server, while the place is ours.
    """

    target: Target
    like: Target
    server: Connection

    @property
    def name(self) -> str:
        """The database's."""
        return str(self.target.url.database)


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that is whole.

    Args:
        missing: what it lacks beside the database that it is of, each with the reason.
    """

    target: Target
    way: CopyWay
    missing: tuple[str, ...]
    seconds: float


@contextmanager
def reserve_copy(target: Target) -> Iterator[CopyPlace]:
    """Yield a name for a copy; the database that is made there is dropped at the end, whoever is connected to it.

    Raises:
        MayNotCreate: the user may not create databases.
        DatabaseError: no connection.
    """
    with ExitStack() as stack:
        server = stack.enter_context(_connection_beside(target))
        try:
            may_create = server.execute(_MAY_CREATE).fetchall()[0][0]
            if not may_create:
                raise MayNotCreate(f"{target}: its user may not create a copy of it", hint=_RIGHT)
            drop_left_over(server)
            name = stack.enter_context(temporary_name(server, "copy"))
        except psycopg.Error as error:
            raise refusal(target, error) from None
        yield CopyPlace(Target(target.url.set(database=name)), target, server)


def make_copy(place: CopyPlace, *, bytes_most: int = BYTES_MOST, has_rows: bool = True) -> Job[Copied]:
    """Make the copy; yields how far it is.

    Args:
        bytes_most: a database that takes more is not copied.
        has_rows: False: its tables are empty, its sequences at their beginning.

    Raises:
        UsageError: the database is too large; something cannot be made without which rows are others than there.
        DatabaseError: the server refuses it.
    """
    begun = perf_counter()
    try:
        if has_rows:
            _check_size(place, bytes_most)
            yield Advanced("copying", str(place.like.url.database), 0, 1)
        if has_rows and _is_copied_by_server(place):
            missing = _finish(place)
            yield Advanced("copying", str(place.like.url.database), 1, 1)
            return Copied(place.target, CopyWay.FILES, tuple(missing), perf_counter() - begun)
        missing = yield from _make_by_rows(place, has_rows=has_rows)
    except psycopg.Error as error:
        raise refusal(place.like, error) from None
    return Copied(place.target, CopyWay.ROWS, tuple(missing), perf_counter() - begun)


def make_empty(place: CopyPlace) -> Target:
    """Make a database without anything in its place, as who makes one says no more, and return it.

    Raises:
        DatabaseError: the server refuses it.
    """
    try:
        place.server.execute(sql.SQL("create database {}").format(sql.Identifier(place.name)))
    except psycopg.Error as error:
        raise refusal(place.like, error) from None
    return place.target


def drop_beside(place: CopyPlace) -> None:
    """Drop the databases that somebody who worked on a copy has made beside it, and named after it, as test_NAME.

    Raises:
        DatabaseError: the server refuses it.
    """
    try:
        for (name,) in place.server.execute(_BESIDE, (place.name,)).fetchall():
            place.server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise refusal(place.like, error) from None


@contextmanager
def _connection_beside(target: Target) -> Iterator[Connection]:
    """Give a connection to another database of the server; to this one, where the user is let into no other."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(server_beside(target))
        except Unreachable:
            server = stack.enter_context(closing(target.connect(application_name=_APPLICATION, settings=OWN)))
        yield server


def _check_size(place: CopyPlace, bytes_most: int) -> None:
    (size,) = place.server.execute("select pg_database_size(%s)", (place.like.url.database,)).fetchall()[0]
    if size > bytes_most:
        raise UsageError(
            f"{place.like}: the database takes {_megabytes(size)}, more than the {_megabytes(bytes_most)} that are copied"
            " for a race",
            hint='Race on a test database that you declare ([database] test = "NAME" in integrity.toml), or on its schema'
            " alone with rows that the setup makes.",
        )


def _is_copied_by_server(place: CopyPlace) -> bool:
    """Let the server copy the database; return whether it did: somebody may be connected to it, or the user not own it.

    Sessions are looked for first: the server would wait 5 s for them to end.
    """
    if is_busy(place.server, str(place.like.url.database)):
        return False
    try:
        copy_database(place.server, str(place.like.url.database), place.name, is_sealed=False)
    except (errors.ObjectInUse, errors.InsufficientPrivilege):
        return False
    return True


def _creation(place: CopyPlace) -> sql.Composed:
    """Return the statement that makes an empty database whose text is stored and ordered as in the other one."""
    (like,) = place.server.execute(_LIKE, (place.like.url.database,)).fetchall()[0]
    options = {"encoding": like["encoding_name"], "lc_collate": like["datcollate"], "lc_ctype": like["datctype"]}
    provider = _PROVIDERS.get(like.get("datlocprovider", ""))
    if provider is not None:
        locale = like.get("datlocale") or like.get("daticulocale")  # its name until version 16
        options |= {"locale_provider": provider, "icu_rules": like.get("daticurules")}
        options |= {f"{provider}_locale": locale} if provider != "libc" else {}
    words = [
        sql.SQL("{} {}").format(sql.SQL(name), sql.Literal(value)) for name, value in options.items() if value is not None
    ]
    text = sql.SQL("create database {} template template0 {}")
    return text.format(sql.Identifier(place.name), sql.SQL(" ").join(words))


def is_busy(server: Connection, name: str) -> bool:
    """Return whether somebody is connected to a database: the server does not copy it then.

    Sessions of ours that have just been closed are about to end: the server waits for those.
    """
    (found,) = server.execute(_IS_BUSY, (name,)).fetchall()[0]
    return bool(found)


def _finish(place: CopyPlace) -> list[str]:
    """Give the copy what belongs to a database beside its content; return what could not be given."""
    missing = []
    try:
        with place.server.transaction():
            give_properties(place.server, str(place.like.url.database), place.name)
    except errors.InsufficientPrivilege as error:
        missing.append(f"owner, rights and settings of the database: {_reason(error)}")
    with closing(place.target.connect(application_name=_APPLICATION, settings=OWN)) as copy:
        copy.execute(WITHOUT_AUTOVACUUM)
    return missing


def _make_by_rows(place: CopyPlace, *, has_rows: bool) -> Job[list[str]]:
    place.server.execute(_creation(place))
    missing = yield from copy_by_rows(place.like, place.target, has_rows=has_rows)
    return [*missing, *_finish(place)]


def _reason(error: psycopg.Error) -> str:
    return mask(error.diag.message_primary or str(error))


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.0f} MB"


_RIGHT = "Let it: alter role ... createdb; or race on a test database that you declare."
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
_LIKE = """
    select to_jsonb(d) || jsonb_build_object('encoding_name', pg_encoding_to_char(d.encoding))
    from pg_catalog.pg_database as d
    where d.datname = %s
"""
_MAY_CREATE = "select rolcreatedb or rolsuper from pg_catalog.pg_roles where rolname = current_user"
_BESIDE = "select datname from pg_catalog.pg_database where strpos(datname, %s) > 1"
_IS_BUSY = """
    select exists (
        select from pg_catalog.pg_stat_activity
        where datname = %s and usesysid is not null  -- autovacuum is no user; its backend_type is hidden from most
            and not starts_with(coalesce(application_name, ''), 'integrity')
    )
"""
