"""Copies of an SQLite database: the files of all its schemas, in a folder beside them.

`venue.db` with `venue.ghostpass.db` is kept as `venue.snapshots/NAME/`. Files are copied by SQLite's backup, under its
locks: all as of one moment, and back in into files that others may have open. Each file goes back in one transaction. The
old ones are kept until the last is in, and put back when one is refused; when the process is killed in between, the next
restore finds them there and begins by putting them back.
"""

import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from integrity.engines.copies import Kept, Newer
from integrity.engines.occupancy import occupy
from integrity.engines.places import MAIN
from integrity.engines.target import Target
from integrity.engines.transaction import refusal

BUSY_S_MOST = 5.0
TAKEN_AT = "taken_at"
BEFORE = ".before-restore"
_SIDES = ("", "-wal", "-shm", "-journal")


def find_all(target: Target) -> list[Kept]:
    """Return the copies of this database, oldest first."""
    folder = _folder(target)
    if not folder.is_dir():
        return []
    found = []
    for path in folder.iterdir():
        if not path.name.startswith(".") and (path / TAKEN_AT).is_file():
            taken_at = datetime.fromisoformat((path / TAKEN_AT).read_text())
            size_bytes = sum(file.stat().st_size for file in path.glob("*.*"))
            found.append(Kept(path.name, str(path), taken_at, size_bytes))
    return sorted(found, key=lambda copy: (copy.taken_at, copy.name))


def find_forgotten(target: Target) -> list[str]:
    """Return nothing: what a killed command left is in the copies' folder, and put right by the next restore."""
    return []


def exists(target: Target) -> bool:
    """Return whether there may be something that a restore replaces: the folder is always there to be looked at."""
    return True


def take(target: Target, name: str, *, may_end_sessions: bool) -> tuple[Kept, tuple[str, ...]]:
    """Keep the database under a name; return the copy, and no sessions: there are none to be ended."""
    taken_at = datetime.now(UTC)
    place = _folder(target) / name
    with occupy(target, "snapshot", is_exclusive=True), _explained(target):
        _keep(target, place)
        (place / TAKEN_AT).write_text(taken_at.isoformat())  # last: without it the folder is no copy
    return next(copy for copy in find_all(target) if copy.name == name), ()


def restore(target: Target, copy: Kept, *, may_end_sessions: bool) -> tuple[str, ...]:
    """Put a copy in the database's place."""
    before = _folder(target) / BEFORE
    with occupy(target, "restore", is_exclusive=True), _explained(target):
        if (before / TAKEN_AT).is_file():
            _put_back(target, before)
        _keep(target, before)
        (before / TAKEN_AT).write_text(datetime.now(UTC).isoformat())
        try:
            _put_back(target, Path(copy.place))
        except (sqlite3.Error, OSError):
            _put_back(target, before)  # if this fails as well, the next restore tries again
            shutil.rmtree(before)
            raise
        shutil.rmtree(before)
    return ()


def find_newer(target: Target, copy: Kept) -> list[Newer]:
    """Return what the database holds and the copy does not, by name."""
    newer = []
    with _explained(target):
        for schema, file in _files(target).items():
            if not file.exists():
                continue
            kept = Path(copy.place) / file.name
            before = _objects(kept) if kept.exists() else set()
            for kind, name in sorted(_objects(file) - before):
                newer.append(Newer(kind, f"{schema}.{name}", schema, schema, name))
    return newer


def _objects(file: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return set(
            connection.execute(
                "select type, name from sqlite_master where type in ('table', 'view', 'trigger') "
                "and name not like 'sqlite\\_%' escape '\\'"
            )
        )


def drop(target: Target, copy: Kept) -> None:
    """Drop a copy."""
    with _explained(target):
        shutil.rmtree(copy.place)
        if not any(_folder(target).iterdir()):
            _folder(target).rmdir()


@contextmanager
def _explained(target: Target) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise refusal(target, error) from None


def _folder(target: Target) -> Path:
    return target.file.with_name(f"{target.file.stem}.snapshots")


def _files(target: Target) -> dict[str, Path]:
    """Return schema -> its file, of all that there are."""
    return {MAIN: target.file, **{schema: target.file_of(schema) for schema in target.find_schemas()}}


def _keep(target: Target, place: Path) -> None:
    """Copy the files that there are into a folder, as of one moment."""
    files = _files(target)
    present = [name for name in files if name != MAIN]
    if place.exists():
        shutil.rmtree(place)  # half a copy
    place.mkdir(parents=True)
    # One connection takes the write lock of every file, so that nobody commits to one of them between the copies of two;
    # another reads, since a backup is not made of a connection that is writing.
    with closing(target.connect_sqlite(present)) as locks, closing(target.connect_sqlite(present)) as reader:
        locks.execute(f"pragma busy_timeout = {int(BUSY_S_MOST * 1000)}")
        locks.execute("begin immediate")
        for schema, file in files.items():
            with closing(sqlite3.connect(place / file.name)) as kept:
                _back_up(reader, kept, schema=schema)
        locks.execute("rollback")


def _put_back(target: Target, place: Path) -> None:
    """Make every file what it is in the folder; one that is not there is emptied and removed."""
    names = {file.name for file in _files(target).values() if file.exists()}
    for name in sorted({*names, *(kept.name for kept in place.iterdir() if kept.name != TAKEN_AT)}):
        file, kept = target.file.with_name(name), place / name
        with (
            closing(sqlite3.connect(kept if kept.exists() else ":memory:")) as source,
            closing(sqlite3.connect(file, timeout=0)) as live,
        ):
            _back_up(source, live)
        if not kept.exists():
            _remove([file])


def _back_up(source: sqlite3.Connection, copy: sqlite3.Connection, *, schema: str = "main") -> None:
    """Copy all pages in one transaction; a file that stays locked is an error: backup by itself would try for ever."""
    give_up_at = time.monotonic() + BUSY_S_MOST

    def check(status: int, remaining: int, total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > give_up_at:
            raise sqlite3.OperationalError("database is locked")

    source.backup(copy, pages=-1, progress=check, name=schema, sleep=0.05)


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        for side in _SIDES:
            file.with_name(file.name + side).unlink(missing_ok=True)
