"""Scratch databases: made beside a target for one command, and dropped at its end.

What a killed process left behind is dropped by the next one that makes a scratch database: one in use always has a
connection, and its comment says whose it is. Of SQLite it is a file in a temporary folder, which is locked while in use.
"""

import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from integrity.database.target import Target
from integrity.database.transaction import refusal
from integrity.errors import MayNotCreate

_COMMENT = "a scratch database of `integrity`, which drops it"
_NAME = re.compile(r"integrity_[a-z]+_[0-9a-f]{12}")
_FOLDER_NAME = re.compile(r"integrity-scratch-[a-z]+-[a-z0-9_]{8}")
_FORGOTTEN_SECONDS = 60.0  # a younger folder may have been made a moment ago, and not be locked yet


@contextmanager
def scratch_database(target: Target, purpose: str) -> Iterator[Target]:
    """Yield an empty database on the target's server, or an empty SQLite file elsewhere; it is gone afterwards.

    Args:
        purpose: a word of its name, e.g. "queries".

    Raises:
        MayNotCreate: the user may not create databases.
        DatabaseError: the server refuses it otherwise.
    """
    if target.is_sqlite:
        _remove_forgotten()
        with tempfile.TemporaryDirectory(prefix=f"integrity-scratch-{purpose}-") as folder:
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # shows that it is in use
                yield Target.parse(f"sqlite:///{Path(folder) / 'scratch.db'}")
            finally:
                os.close(descriptor)
        return
    application_name = f"integrity {purpose}"
    with closing(target.connect(application_name=application_name)) as admin:
        _drop_forgotten(admin)
        name = f"integrity_{purpose}_{secrets.token_hex(6)}"
        try:
            admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise MayNotCreate(refusal(target, error).message, hint="Let the user: alter role ... createdb.") from None
        except psycopg.Error as error:
            raise refusal(target, error) from None
        scratch = Target(target.url.set(database=name))
        try:
            with closing(scratch.connect(application_name=application_name)):  # shows that it is in use
                admin.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(name), sql.Literal(_COMMENT)))
                yield scratch
        finally:
            # A server that is gone has been told of already; the next scratch database takes this one along.
            with suppress(psycopg.OperationalError):
                admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _drop_forgotten(admin: "psycopg.Connection[Any]") -> None:
    """Drop scratch databases that nobody is connected to: those of a process that was killed."""
    found = admin.execute(
        """
        select datname
        from pg_database
        where shobj_description(oid, 'pg_database') = %s
            and datdba = (select oid from pg_roles where rolname = current_user)
            and not exists (select from pg_stat_activity where pg_stat_activity.datid = pg_database.oid)
        """,
        (_COMMENT,),
    )
    for (name,) in found.fetchall():
        if _NAME.fullmatch(str(name)):
            with suppress(psycopg.errors.ObjectInUse):  # somebody has connected since
                admin.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(str(name))))


def _remove_forgotten() -> None:
    """Remove the folders of scratch files that nobody has locked: those of a process that was killed."""
    forgotten_before = time.time() - _FORGOTTEN_SECONDS
    for folder in Path(tempfile.gettempdir()).glob("integrity-scratch-*"):
        if not _FOLDER_NAME.fullmatch(folder.name):
            continue
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # gone meanwhile, or somebody else's
            continue
        try:
            found = os.fstat(descriptor)
            if found.st_uid == os.geteuid() and found.st_mtime < forgotten_before:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue  # in use
        finally:
            os.close(descriptor)
