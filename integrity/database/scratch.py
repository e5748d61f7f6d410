"""Scratch databases: made beside a target for one command, and dropped at its end.

What a killed process left behind is dropped by the next one that makes a database (temporary.py). Of SQLite it is a file in
a temporary folder, which is locked while in use.
"""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.postgresql.temporary import drop_left_over, temporary_name
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import MayNotCreate

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
    with closing(target.connect(application_name=application_name, settings=OWN)) as admin:
        try:
            drop_left_over(admin)
        except psycopg.Error as error:
            raise refusal(target, error) from None
        with temporary_name(admin, purpose) as name:
            try:
                admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
            except psycopg.errors.InsufficientPrivilege as error:
                raise MayNotCreate(refusal(target, error).message, hint="Let the user: alter role ... createdb.") from None
            except psycopg.Error as error:
                raise refusal(target, error) from None
            try:
                yield Target(target.url.set(database=name))
            finally:
                # A server that is gone has been told of already; the next scratch database takes this one along.
                with suppress(psycopg.OperationalError):
                    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


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
