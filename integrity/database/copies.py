"""Copies of a whole test database, kept under names: taken before something, put back after it.

PostgreSQL keeps them as databases of the same server, SQLite as files beside the database's own: `copies.py` in the
engine's folder. Both are made of a database that is ours, or whose owner says that it is a test database, and of no other.
The database is as it was until the copy is whole: whatever stops a restore leaves the old or the new one.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from integrity.database.contents import Contents, inspect_database
from integrity.database.namespace import guard
from integrity.engines.copies import Kept, Newer
from integrity.engines.target import Target
from integrity.errors import SeedError, UsageError, quote
from integrity.typed import typed

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,29}")


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that was put back.

    Args:
        ended: sessions that were ended for that, in words.
        lost: as find_lost has it.
    """

    copy: Kept
    ended: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def take_copy(target: Target, name: str, *, test_database: str | None, may_end_sessions: bool) -> Restored:
    """Keep the database as it is now under a name; return the copy.

    Args:
        test_database: as guard takes it.
        may_end_sessions: sessions that stand in the way are ended; else they are an error. A run's never are.

    Raises:
        UsageError: the name cannot be used, or is.
        UnsafeDatabase: it holds tables that we did not make.
        SeedError: it holds nothing.
        DatabaseError: somebody works in it, or the server refuses.
    """
    target.require()
    _check_name(name)
    if any(copy.name == name for copy in list_copies(target)):
        raise UsageError(
            f"{target}: there is a snapshot {quote(name)} already",
            hint=f"First: {typed(f'snapshot --drop {name}')}",
        )
    if guard(target, test_database).is_empty:
        raise SeedError(f"{target}: there is nothing to keep", hint=f"Make something first: {typed('seed')}")
    copy, ended = target.engine.copies.take(target, name, may_end_sessions=may_end_sessions)
    return Restored(copy, ended)


def restore_copy(target: Target, name: str, *, test_database: str | None, may_end_sessions: bool) -> Restored:
    """Put the database back as it was when the copy was taken; the copy stays.

    Raises:
        UsageError: there is no copy of that name.
        UnsafeDatabase: the database holds tables that we did not make.
        DatabaseError: somebody works in it, or the server refuses; it is as it was before.
    """
    copy = find_copy(target, name)
    copies = target.engine.copies
    lost: tuple[str, ...] = ()
    if copies.exists(target):  # one that was dropped by mistake can be brought back, too
        lost = _lost(target, copy, guard(target, test_database))
    return Restored(copy, copies.restore(target, copy, may_end_sessions=may_end_sessions), lost)


def find_lost(target: Target, copy: Kept) -> tuple[str, ...]:
    """Return what a restore would take away that the database got since, and not from us, e.g. "extension citext".

    Here, other than where `seed` looks for what is somebody else's, an extension counts, and so does whatever else stands
    in no schema, or on a table of ours.
    """
    if not target.engine.copies.exists(target):
        return ()
    return _lost(target, copy, inspect_database(target))


def _lost(target: Target, copy: Kept, contents: Contents) -> tuple[str, ...]:
    newer = target.engine.copies.find_newer(target, copy)
    foreign = set(contents.foreign)
    others = [each for each in newer if not _is_ours(each, contents, foreign)]
    schemas = {each.name for each in others if each.kind == "schema"}
    return tuple(str(each) for each in others if each.within not in schemas)


def _is_ours(newer: Newer, contents: Contents, foreign: set[str]) -> bool:
    if newer.kind == "schema":
        return newer.schema in contents.ours
    place = f"{newer.schema}.{newer.relation}"
    return newer.kind in ("table", "view") and not {place, f"{newer.kind} {place}"} & foreign


def list_copies(target: Target) -> list[Kept]:
    """Return the copies of this database, oldest first."""
    return target.engine.copies.find_all(target)


def find_forgotten(target: Target) -> list[str]:
    """Return what killed commands left beside the database; the next one that makes a copy or a scratch removes it."""
    return target.engine.copies.find_forgotten(target)


def drop_copy(target: Target, name: str) -> Kept:
    """Drop a copy; return what it was.

    Raises:
        UsageError: there is none of that name.
    """
    copy = find_copy(target, name)
    target.engine.copies.drop(target, copy)
    return copy


def find_copy(target: Target, name: str) -> Kept:
    """Return the copy of that name.

    Raises:
        UsageError: there is none.
    """
    copies = {copy.name: copy for copy in list_copies(target)}
    if name not in copies:
        known = f"Its snapshots are: {', '.join(copies)}." if copies else f"It has none; `{typed('snapshot')}` takes one."
        raise UsageError(f"{target} has no snapshot {quote(name)}", hint=known)
    return copies[name]


def name_by_time(moment: datetime) -> str:
    """Return the name of a copy that was given none."""
    return f"{moment:%Y%m%d-%H%M%S}"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{quote(name)} cannot be a snapshot's name",
            hint="At most 30 of a-z, 0-9, _ and -, the first a letter or a number.",
        )
