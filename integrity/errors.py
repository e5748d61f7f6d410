"""Errors: what stopped us from finding an answer.

A violated invariant is a result, not an error. The tree:

    AuditError
    ├── UsageError            an argument, a name or a setting that cannot be used
    ├── SqlFileError          a .sql file that cannot be used, with its place
    ├── UserCodeError         a stage, seeder or service of the user's raised an exception
    ├── DatabaseError         the database did not answer as it must
    │   ├── Unreachable       no connection: address, password, database, rights
    │   │   └── NoAnswer      the server takes connections, and does not answer
    │   ├── MayNotCreate      the user may not create databases
    │   ├── UnsuitableServer  too old, or lacks what we need
    │   └── EmbeddedError     the embedded server did not start or stop
    ├── UnsafeDatabase        it holds tables that we did not make
    ├── SeedError             the database is not in the state that seeding needs
    ├── HistoryError          a run folder or a history that cannot be read
    ├── RunBroken             one of the processes of a run ended before the run did
    └── OutputError           the result could not be written to stdout

Every message names the place, the value found and the reason; `hint` is the next step. Neither ever holds a password.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

QUOTED_MOST = 80


class AuditError(Exception):
    """The root: what a user can cause and mend. Commands print it without a traceback and exit with `exit_code`.

    Args:
        message: place, value found, reason, in one sentence.
        hint: the next step, an imperative sentence or a command to paste.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"


class UsageError(AuditError):
    """An argument, a name or a setting that cannot be used."""


class SqlFileError(AuditError):
    """A .sql file that cannot be used; the message starts with path:line."""


class UserCodeError(AuditError):
    """Code of the user's that we called raised an exception; the message starts with path:line."""


class DatabaseError(AuditError):
    """The database did not answer as it must."""


class Unreachable(DatabaseError):
    """No connection: wrong address, password, database or rights.

    Args:
        is_full: the server answers, and has no connection to give.
    """

    def __init__(self, message: str, *, hint: str | None = None, is_full: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_full = is_full


class NoAnswer(Unreachable):
    """The server takes connections and does not answer: whether the data is right could not be found out."""

    exit_code = 3


class MayNotCreate(DatabaseError):
    """The user may not create databases."""


class UnsuitableServer(DatabaseError):
    """The server is too old or lacks what we need."""


class EmbeddedError(DatabaseError):
    """The embedded server did not start or stop."""


class UnsafeDatabase(AuditError):
    """The database holds tables that we did not make."""


class SeedError(AuditError):
    """The database is not in the state that seeding needs."""


class HistoryError(AuditError):
    """A run folder or a history that cannot be read."""


class RunBroken(AuditError):
    """One of the processes that make the calls of a run ended before the run did: nobody knows what it would have found."""

    exit_code = 3


class OutputError(AuditError):
    """The result could not be written to stdout."""

    exit_code = 3


def quote(value: object) -> str:
    """Return a value as messages show what somebody wrote: in quotes, and only as much of it as tells which it is."""
    text = str(value)
    return repr(text) if len(text) <= QUOTED_MOST else f"{text[:QUOTED_MOST]!r}... ({len(text):,} letters)"


def quote_url(text: str) -> str:
    """Return what somebody wrote for a URL, which is none, as messages show it: without what may be a password in it.

    That is whatever stands before the last @, and behind a colon, unless a host with a dot in its name has its port there.
    """
    before, at, shown = text.rpartition("@")
    begun = _BEGUN.match(shown)
    start = begun.end() if begun and not at else 0
    for colon in re.finditer(":", shown[start:]):
        place = start + colon.start()
        if not (_PORT.match(shown, place) and _HOST.search(shown[:place])):
            shown = f"{shown[:place]}:***"
            break
    return quote(f"***@{shown}" if before else shown)


_BEGUN = re.compile(r"[A-Za-z][\w+.-]*:/+")
_PORT = re.compile(r":\d{1,5}(?=$|/)")
_HOST = re.compile(r"(?:^|/)(?:localhost|[\w-]+(?:\.[\w-]+)+)$")


def describe_mistake(first: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> str:
    """Return the place in settings, what is wrong there and the value, from an error of pydantic's.

    Args:
        without: parts of the place that are no words of the user's.
    """
    where = ".".join(str(part) for part in first["loc"] if part not in without)
    value = first.get("input")
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{where}: there is no such setting"
    shown = f", not {quote(value)}" if isinstance(value, str | int | float) and "url" not in where else ""
    return f"{where}: {first['msg']}{shown}".removeprefix(": ")


def describe_unexpected(error: BaseException) -> str:
    """Return, in one line, an exception that nobody foresaw: of ours, not of the user's making."""
    words = " ".join(str(error).split())
    return f"an error of integrity's own: {type(error).__name__}{f': {words[:200]}' if words else ''}"
