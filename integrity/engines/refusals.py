"""What to do about an error of a database: the next step, told from its SQLSTATE or, without a session, from its words.

A server that cannot be reached has no SQLSTATE to tell: libpq passes its words on.
"""

from collections.abc import Iterable

_RIGHTS = "Use a user and a server that may create schemas and write there."
_MAKING = "Let the user make databases (alter role ... createdb), or connect as one who may."
LOCKED = "Another session is working on these tables: wait until it has ended, or end it."
_ROOM = "Make room on the disk of the database, or ask for less."
_CONNECTIONS = "The server has no connection to give: let others end theirs, or raise its max_connections."
_GONE = "See that the server runs, then give the command again."
_DEPENDENT = "Something that was not made here depends on a table that was: drop it first."

_FULL = ("too many clients", "connection slots are reserved", "too many connections")

_TOO_MANY = "53300"
_KINDS: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    ((), ("permission denied to create database",), _MAKING),
    (("42501", "25006"), ("readonly",), _RIGHTS),
    (("55P03",), ("is locked",), LOCKED),
    (("53100",), ("disk is full", "No space left on device"), _ROOM),
    ((_TOO_MANY,), _FULL, _CONNECTIONS),
    (
        ("57P01", "57P02", "57P03"),
        (
            "terminating connection",
            "server closed the connection",
            "is shutting down",
            "is starting up",
            "in recovery mode",
        ),
        _GONE,
    ),
    (("2BP01",), (), _DEPENDENT),
)


def reason_of(error: BaseException | None) -> str:
    """Return what went wrong in one line, without the statement of ours that the server quotes under its message."""
    said = getattr(error, "diag", None)  # what a driver tells apart, as psycopg does
    if said is None or said.message_primary is None:
        return _in_sentences(str(error).splitlines())
    detail = f"DETAIL: {said.message_detail}" if said.message_detail else ""
    hint = f"HINT: {said.message_hint}" if said.message_hint else ""
    return _in_sentences([said.message_primary, detail, hint])


def _in_sentences(lines: Iterable[str]) -> str:
    """Return the lines as one, each that has no end of its own ended: libpq's begin without one."""
    said = [" ".join(line.split()) for line in lines if line.strip()]
    ended = [line if line[-1] in ".?!:;," else f"{line}." for line in said[:-1]]
    return " ".join([*ended, *said[-1:]])


def is_full(error: BaseException) -> bool:
    """Whether the server answers, and has no connection to give."""
    return getattr(error, "sqlstate", None) == _TOO_MANY or any(word in str(error) for word in _FULL)


def next_step(error: BaseException | None) -> str | None:
    """Return what to do about it; None: the error is of no kind that is known here."""
    said = str(error)
    sqlstate = getattr(error, "sqlstate", None)
    for states, words, step in _KINDS:
        if sqlstate in states or any(word in said for word in words):
            return step
    return None
