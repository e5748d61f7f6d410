"""Commands that people are told to type next: with what their own command line named, so that they can be pasted.

    hint=f"Make it: {typed('seed --system bank')}"

Whoever said --database, --project or --yes-this-is-a-test-database on one command line means the same by the next, and a
command without them works elsewhere. What the settings or the environment name holds for the next command by itself.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass

# Which commands take which option, spelt with a - where they are two words. `integrity replay` takes a database, too, and
# is told one where it needs that: a finding brings its tables along.
_DATABASE = """
    forget health monitor new-invariant new-operation new-query proxy queries-ask queries-run race reproduce restore
    rollback run seed serve snapshot suite validate
"""
_PROJECT = f"""
    {_DATABASE} db-psql db-reset db-start db-status db-stop db-url explain list mcp new-scenario queries-list replay
    serve-dependencies stop
"""
_TEST_DATABASE = "health race replay reproduce restore run seed serve snapshot suite"

_GROUPS = ("db", "new", "queries")


@dataclass(slots=True)
class _Given:
    """What the command line named.

    Args:
        database: tells the URL, without its password; empty where what was named is none; None: none was named.
        folder: of the project, where that is not the current folder's.
    """

    database: Callable[[], str] | None = None
    folder: str = ""
    test_database: str = ""


_given = _Given()  # of the one command that a process carries out; see cli/main.py


def note_given(
    *, database: Callable[[], str] | None = None, folder: str | None = None, test_database: str | None = None
) -> None:
    """Note options of the command line; what is None is left as it was."""
    _given.database = database or _given.database
    _given.folder = _given.folder if folder is None else folder
    _given.test_database = test_database or _given.test_database


def forget_given() -> None:
    """Forget the options: another command line begins."""
    _given.database, _given.folder, _given.test_database = None, "", ""


def typed(command: str) -> str:
    """Return a command with the options that the command line under way named, as far as it takes them and has none.

    Args:
        command: without the program's name: "seed --system bank".
    """
    words = command.split()
    name = "-".join(words[: 2 if words[0] in _GROUPS else 1])
    options = (
        ("--database", _DATABASE, _given.database() if _given.database else ""),
        ("--project", _PROJECT, _given.folder),
        ("--yes-this-is-a-test-database", _TEST_DATABASE, _given.test_database),
    )
    more = [
        f"{option} {shlex.quote(value)}"
        for option, takers, value in options
        if value and name in takers.split() and option not in words
    ]
    return " ".join(["integrity", command, *more])
