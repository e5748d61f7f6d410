"""What to do about an error of a database: the next step, told from its kind or, before there is a session, from its words.

A server that cannot be reached has no SQLSTATE to tell: libpq passes its words on.
"""

from psycopg import Error, errors

_RIGHTS = "Use a user and a server that may create schemas and write there."
_MAKING = "Let the user make databases (alter role ... createdb), or connect as one who may."
LOCKED = "Another session is working on these tables: wait until it has ended, or end it."
_ROOM = "Make room on the disk of the database, or ask for less."
_CONNECTIONS = "The server has no connection to give: let others end theirs, or raise its max_connections."
_GONE = "See that the server runs, then give the command again."
_DEPENDENT = "Something that was not made here depends on a table that was: drop it first."

_FULL = ("too many clients", "connection slots are reserved", "too many connections")

_KINDS: tuple[tuple[tuple[type[Exception], ...], tuple[str, ...], str], ...] = (
    ((), ("permission denied to create database",), _MAKING),
    ((errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction), ("readonly",), _RIGHTS),
    ((errors.LockNotAvailable,), ("is locked",), LOCKED),
    ((errors.DiskFull,), ("disk is full", "No space left on device"), _ROOM),
    ((errors.TooManyConnections,), _FULL, _CONNECTIONS),
    (
        (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow),
        (
            "terminating connection",
            "server closed the connection",
            "is shutting down",
            "is starting up",
            "in recovery mode",
        ),
        _GONE,
    ),
    ((errors.DependentObjectsStillExist,), (), _DEPENDENT),
)


def reason_of(error: BaseException | None) -> str:
    """Return what went wrong in one line, without the statement of ours that the server quotes under its message."""
    if not isinstance(error, Error) or error.diag.message_primary is None:
        return " ".join(str(error).split())
    detail = f" DETAIL: {error.diag.message_detail}" if error.diag.message_detail else ""
    hint = f" HINT: {error.diag.message_hint}" if error.diag.message_hint else ""
    return " ".join(f"{error.diag.message_primary}{detail}{hint}".split())


def is_full(error: BaseException) -> bool:
    """Whether the server answers, and has no connection to give."""
    return isinstance(error, errors.TooManyConnections) or any(word in str(error) for word in _FULL)


def next_step(error: BaseException | None) -> str | None:
    """Return what to do about it; None: the error is of no kind that is known here."""
    said = str(error)
    for kinds, words, step in _KINDS:
        if isinstance(error, kinds) or any(word in said for word in words):
            return step
    return None
