"""Copies of a PostgreSQL database: databases of the same server, made by `create database ... template`.

A copy lets nobody in, so it stays as it was; its comment says of which database it is, since when, and its own oid, so
that a comment that went along to another database says nothing there. It is believed only of an owner whom we trust.
Each is made under a temporary name, and gets its own when it is whole. Putting one back makes a second copy, gives it
what belongs to the database and not to its content (owner, rights, settings), and swaps the two names in one
transaction: the old one's becomes a temporary name, and it is dropped after that.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import errors, sql

from integrity.engines.copies import Kept, Newer
from integrity.engines.postgresql import newer
from integrity.engines.postgresql.occupancy import check_unoccupied
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.postgresql.temporary import drop_database, drop_left_over, find_left_over, temporary_name
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import DatabaseError, Unreachable, UsageError
from integrity.numbers import counted
from integrity.typed import typed

RUN_APPLICATION = "integrity-run"
_NEEDS = "what copies, swaps and drops databases needs"
MAINTENANCE_DATABASES = ("postgres", "template1")  # one cannot copy or rename the database that one is connected to
NAME_BYTES_MOST = 63
FILE_COPY_BYTES_LEAST = 64_000_000
"""Below, all blocks through the write-ahead log are quicker than the two checkpoints of a copy of the files."""

# Settings that are lists of names: what is stored is how they are written, quotes and all.
_LISTS = ("local_preload_libraries", "search_path", "session_preload_libraries", "temp_tablespaces")

Connection = psycopg.Connection[Any]


def exists(target: Target) -> bool:
    """Return whether the database is there at all."""
    with server_beside(target) as server:
        return _find(server, _name(target)) is not None


def find_all(target: Target) -> list[Kept]:
    """Return the copies of this database, oldest first."""
    with server_beside(target) as server:
        rows = server.execute(
            """
            select
                databases.datname,
                databases.oid::int8,
                shobj_description(databases.oid, 'pg_database'),
                case when has_database_privilege(databases.oid, 'connect') then pg_database_size(databases.oid) else 0 end
            from pg_database as databases
            join pg_roles as owners on owners.oid = databases.datdba
            where not databases.datallowconn
                and (
                    owners.rolname = current_user
                    or owners.rolsuper
                    or databases.datdba = (select datdba from pg_database where datname = %s)
                )
            """,
            (_name(target),),
        ).fetchall()
    found = []
    for place, oid, comment, size_bytes in rows:
        label = _read_label(comment, oid)
        if label is not None and label.get("kind") == "snapshot" and label["of"] == _name(target):
            found.append(Kept(label["name"], place, datetime.fromisoformat(label["taken_at"]), size_bytes))
    return sorted(found, key=lambda copy: (copy.taken_at, copy.name))


def find_forgotten(target: Target) -> list[str]:
    """Return the databases that a killed command left on the server; the next one that makes a database drops them."""
    with server_beside(target) as server:
        return find_left_over(server)


def take(target: Target, name: str, *, may_end_sessions: bool) -> tuple[Kept, tuple[str, ...]]:
    """Keep the database under a name; return the copy and the sessions that were ended for it."""
    database = _name(target)
    place = _fitting(f"{database}_snapshot_{name}")
    with server_beside(target) as server:
        drop_left_over(server)
        if _find(server, place) is not None:
            raise DatabaseError(
                f"{target}: the server has a database {place!r} that is no snapshot of ours", hint="Use another name."
            )
        ended = _clear(server, target, may_end_sessions=may_end_sessions)
        taken_at = datetime.now(UTC)
        with temporary_name(server, "snapshot") as new:
            copy_database(server, database, new, is_sealed=True)
            label = {"kind": "snapshot", "name": name, "of": database, "taken_at": taken_at.isoformat()}
            with server.transaction():
                _label(server, new, label)
                _rename(server, new, place)
        (size_bytes,) = _one(server, "select pg_database_size(%s)", place)
    return Kept(name, place, taken_at, size_bytes), ended


def restore(target: Target, copy: Kept, *, may_end_sessions: bool) -> tuple[str, ...]:
    """Put a copy in the database's place; return the sessions that were ended for it."""
    database = _name(target)
    with server_beside(target) as server:
        drop_left_over(server)
        ended: tuple[str, ...] = ()
        is_there = _find(server, database) is not None
        if is_there:  # before the work of copying, and again by the server when the names are swapped
            ended = _clear(server, target, may_end_sessions=may_end_sessions)
        with temporary_name(server, "restored") as new, temporary_name(server, "replaced") as old:
            copy_database(server, copy.place, new, is_sealed=False)
            with server.transaction():
                comment = None
                if is_there:
                    comment = _find(server, database)["comment"]  # type: ignore[index]  # it is there
                    give_properties(server, database, new)
                    _rename(server, database, old)
                _rename(server, new, database)
                _comment(server, database, comment)
    return ended


def find_newer(target: Target, copy: Kept) -> Sequence[Newer]:
    """Return what the database got since the copy was made."""
    return newer.find_newer(target, copy)


def drop(target: Target, copy: Kept) -> None:
    """Drop a copy."""
    with server_beside(target) as server:
        drop_database(server, copy.place)


@contextmanager
def server_beside(target: Target) -> Iterator[Connection]:
    """Give a connection to the server, in another database than the target's."""
    failure: Unreachable | None = None
    for database in MAINTENANCE_DATABASES:
        if database == target.url.database:
            continue
        try:
            connection = Target(target.url.set(database=database)).connect(settings=OWN)
            break
        except Unreachable as error:
            failure = failure or error
    else:
        assert failure is not None
        with closing(target.connect(settings={})) as own:  # a pooler may know no other database
            own.refuse_pooler(target, _NEEDS)
        raise failure
    try:
        connection.refuse_pooler(target, _NEEDS)
        yield connection
    except (errors.ObjectInUse, errors.LockNotAvailable) as error:
        raise DatabaseError(
            f"{target}: {error.diag.message_primary}: {error.diag.message_detail or 'somebody works in it'}",
            hint="Nothing was changed. Close what is connected to it, then try again.",
        ) from None
    except psycopg.Error as error:
        raise refusal(target, error) from None
    finally:
        connection.close()


def _name(target: Target) -> str:
    return target.url.database or target.url.username or ""  # as libpq has it


def _fitting(name: str) -> str:
    if len(name.encode()) > NAME_BYTES_MOST:
        raise UsageError(
            f"{name!r} is longer than the {NAME_BYTES_MOST} bytes that PostgreSQL takes", hint="Use a shorter name."
        )
    return name


def _one(server: Connection, query: str, *values: object) -> Any:
    return server.execute(query.encode(), values or None).fetchone()


def _find(server: Connection, database: str) -> dict[str, Any] | None:
    """Return the database's comment and properties, or None when there is none of that name."""
    row = _one(
        server,
        """
        select
            shobj_description(oid, 'pg_database'),
            pg_get_userbyid(datdba),
            datconnlimit
        from pg_database
        where datname = %s
        """,
        database,
    )
    return None if row is None else dict(zip(("comment", "owner", "connection_limit"), row, strict=True))


def _clear(server: Connection, target: Target, *, may_end_sessions: bool) -> tuple[str, ...]:
    """See to it that nobody is connected to the database; return who was.

    Not a hold: that would be a session there. Who comes after this is seen by the server, which then refuses.
    """
    check_unoccupied(target, server, _name(target))
    sessions = server.execute(
        """
        select pid, coalesce(application_name, ''), coalesce(state, 'unknown')
        from pg_stat_activity
        where datname = %s and pid <> pg_backend_pid() and usesysid is not null  -- autovacuum is no user; it gives way
        order by pid
        """,
        (_name(target),),
    ).fetchall()
    named = tuple(f"{application or 'a session'} (pid {pid}, {state})" for pid, application, state in sessions)
    if not sessions:
        return ()
    many = counted(len(sessions), "session is", "sessions are")
    refused = f"{target}: {many} connected: {', '.join(named[:5])}{', ...' if len(named) > 5 else ''}"
    if any(application == RUN_APPLICATION for _, application, _ in sessions):
        raise DatabaseError(refused, hint=f"A run works there: {typed('stop')}")
    if not may_end_sessions:
        raise DatabaseError(refused, hint="Close them, then try again; on the embedded server they are ended.")
    for pid, _, _ in sessions:
        server.execute("select pg_terminate_backend(%s)", (pid,))
    return named


def copy_database(server: Connection, source: str, place: str, *, is_sealed: bool) -> None:
    (size_bytes,) = _one(server, "select pg_database_size(%s)", source)
    statement = sql.SQL("create database {} template {}").format(sql.Identifier(place), sql.Identifier(source))
    if is_sealed:
        statement += sql.SQL(" allow_connections false")
    if server.info.server_version >= 150_000:  # before, a copy of the files is all there is
        strategy = "file_copy" if size_bytes >= FILE_COPY_BYTES_LEAST else "wal_log"
        statement += sql.SQL(" strategy {}").format(sql.SQL(strategy))
    server.execute(statement)


def give_properties(server: Connection, source: str, place: str) -> None:
    """Give a database what another has beside its content: owner, connection limit, rights, settings."""
    found = _find(server, source)
    assert found is not None
    name = sql.Identifier(place)
    limit = sql.Literal(found["connection_limit"])
    server.execute(sql.SQL("alter database {} connection limit {}").format(name, limit))
    for role, setting in server.execute(
        """
        select pg_get_userbyid(nullif(settings.setrole, 0)), unnest(settings.setconfig)
        from pg_db_role_setting as settings
        join pg_database on pg_database.oid = settings.setdatabase
        where pg_database.datname = %s
        """,
        (source,),
    ).fetchall():
        key, _, value = setting.partition("=")
        whose = (
            sql.SQL("role {} in database {}").format(sql.Identifier(role), name)
            if role is not None
            else sql.SQL("database {}").format(name)
        )
        said = sql.SQL(value) if key in _LISTS and value else sql.Literal(value)
        server.execute(sql.SQL("alter {} set {} to {}").format(whose, sql.Identifier(*key.split(".")), said))
    rights = server.execute(
        """
        select rights.grantee, pg_get_userbyid(nullif(rights.grantee, 0)), rights.privilege_type, rights.is_grantable
        from pg_database
        cross join aclexplode(pg_database.datacl) as rights
        where pg_database.datname = %s
        """,
        (source,),
    ).fetchall()
    (has_rights,) = _one(server, "select datacl is not null from pg_database where datname = %s", source)
    if has_rights:
        server.execute(sql.SQL("revoke all on database {} from public").format(name))
        for _, role, right, is_grantable in rights:
            grantee = sql.SQL("public") if role is None else sql.Identifier(role)
            more = sql.SQL(" with grant option" if is_grantable else "")
            server.execute(sql.SQL("grant {} on database {} to {}{}").format(sql.SQL(right), name, grantee, more))
    server.execute(sql.SQL("alter database {} owner to {}").format(name, sql.Identifier(found["owner"])))


def _rename(server: Connection, database: str, name: str) -> None:
    server.execute(sql.SQL("alter database {} rename to {}").format(sql.Identifier(database), sql.Identifier(name)))


def _label(server: Connection, database: str, label: dict[str, str]) -> None:
    (oid,) = _one(server, "select oid::int8 from pg_database where datname = %s", database)
    _comment(server, database, json.dumps({"integrity": {**label, "oid": oid}}))


def _comment(server: Connection, database: str, text: str | None) -> None:
    server.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(database), sql.Literal(text)))


def _read_label(comment: str | None, oid: int) -> dict[str, str] | None:
    """Return what a comment of ours says, or None: it is another's. One of an earlier version does not say the oid."""
    try:
        read = json.loads(comment or "")
    except ValueError:
        return None
    label = read.get("integrity") if isinstance(read, dict) else None
    return label if isinstance(label, dict) and "of" in label and label.get("oid", oid) == oid else None
