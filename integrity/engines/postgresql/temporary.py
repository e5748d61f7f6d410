"""Temporary databases of a PostgreSQL server: ours from their first moment, and found again when their maker was killed.

`create database` and `comment on database` are two statements, and between them a database would be nobody's. So what we
make is created under a name that is itself the label, `integrity_tmp_<kind>_<token>`, whose second half is a checksum of
the first: no other database is called so by accident, and only a database's owner can call it so. What is to stay is
labelled and renamed in one transaction when it is whole; what stands in its place is renamed *to* such a name, and dropped.

Whoever works on one holds an advisory lock of its token, in whichever database it is connected to: a session that is killed
lets go of it, on every machine alike. Without that lock and without sessions in it, it is left over. (Behind a pooler in
transaction mode the lock belongs to a connection of the pooler's: databases are not made through one.)
"""

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors, sql

PREFIX = "integrity_tmp_"
_NAME = re.compile(rf"{PREFIX}([a-z]+)_([0-9a-f]{{12}})([0-9a-f]{{12}})")
_LOCK_CLASS = 0x1A7E6220  # of advisory locks: the temporary databases of this program

Connection = psycopg.Connection[Any]


@contextmanager
def temporary_name(server: Connection, kind: str) -> Iterator[str]:
    """Yield a name for a database that is about to be made; it is in use until the block or the session ends.

    What is called so at the end of the block is dropped, whoever is connected to it and wherever the block ended: an
    interruption may come while the server makes it, when nobody has it yet. What is to stay was renamed by then.

    Args:
        kind: a word of it, e.g. "race".
    """
    random = secrets.token_hex(6)
    name = f"{PREFIX}{kind}_{random}{_checksum(kind, random)}"
    server.execute("select pg_catalog.pg_advisory_lock(%s::int4, %s::int4)", (_LOCK_CLASS, _lock_number(random)))
    try:
        yield name
    finally:
        # A server that is gone has been told of already; the next one that makes such a database takes this one along.
        with suppress(psycopg.OperationalError):
            if server.execute("select 1 from pg_catalog.pg_database where datname = %s", (name,)).fetchone():
                drop_database(server, name)  # a role that may not make one is refused this, too, which would hide why
            server.execute("select pg_catalog.pg_advisory_unlock(%s::int4, %s::int4)", (_LOCK_CLASS, _lock_number(random)))


def find_left_over(server: Connection) -> list[str]:
    """Return the names of temporary databases that nobody works on any more, and that we may drop."""
    found = server.execute(
        """
        select databases.datname
        from pg_catalog.pg_database as databases
        where pg_catalog.starts_with(databases.datname, %s)
            and pg_catalog.pg_has_role(databases.datdba, 'usage')
            and not exists (select from pg_catalog.pg_stat_activity as sessions where sessions.datid = databases.oid)
        order by databases.datname
        """,
        (PREFIX,),
    ).fetchall()
    # After the databases: who makes one holds the lock before it is there.
    held = server.execute(
        """
        select objid::int8
        from pg_catalog.pg_locks
        where locktype = 'advisory' and classid = %s::int8::oid and objsubid = 2
        """,
        (_LOCK_CLASS,),
    ).fetchall()
    in_use = {number for (number,) in held}
    return [name for (name,) in found if (random := _random_of(name)) and _lock_number(random) % 2**32 not in in_use]


def drop_database(server: Connection, name: str) -> None:
    """Drop a database, if it is there, whoever is connected to it.

    `with (force)` ends sessions of the user's own and, for a superuser, all others. It gives up where another user's is
    there, and also where a worker of autovacuum is, a superuser's as it has the right to be: then what is left to end are
    our own, and the server ends the workers itself.

    Raises:
        psycopg.Error: it could not be dropped.
    """
    database = sql.Identifier(name)
    try:
        server.execute(sql.SQL("drop database if exists {} with (force)").format(database))
    except errors.InsufficientPrivilege:
        server.execute(
            """
            select pg_catalog.pg_terminate_backend(pid)
            from pg_catalog.pg_stat_activity
            where datname = %s and pid <> pg_catalog.pg_backend_pid() and pg_catalog.pg_has_role(usesysid, 'usage')
            """,
            (name,),
        )
        server.execute(sql.SQL("drop database if exists {}").format(database))


def drop_left_over(server: Connection) -> list[str]:
    """Drop what is left over from processes that were killed; return what it was."""
    dropped = []
    for name in find_left_over(server):
        # Somebody connected since, or dropped it at the same time.
        with suppress(errors.ObjectInUse, errors.InvalidCatalogName, errors.InternalError):
            server.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(name)))
            dropped.append(name)
    return dropped


def _random_of(name: str) -> str | None:
    """Return the token's first half, or None when the name is not one of ours."""
    parts = _NAME.fullmatch(name)
    return parts[2] if parts and parts[3] == _checksum(parts[1], parts[2]) else None


def _checksum(kind: str, random: str) -> str:
    return hashlib.sha256(f"integrity {kind} {random}".encode()).hexdigest()[:12]


def _lock_number(random: str) -> int:
    """Return the token's first four bytes as a signed integer, as the lock functions take it."""
    return int.from_bytes(bytes.fromhex(random)[:4], "big", signed=True)
