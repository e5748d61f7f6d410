"""Who works in a database, so that nobody takes it from under them.

A run and an added seed hold the database together with others, for as long as they work; what drops or replaces holds it
alone, or is refused at once with the name of who works there. How that is known is the engine's own: see its
occupancy.py.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from integrity.engines.hold import Hold
from integrity.engines.target import Target
from integrity.errors import DatabaseError
from integrity.numbers import counted
from integrity.typed import typed

RUN = "run "
NAMED_MOST = 4
"""So many others are named beside the first; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Occupant:
    """Somebody who works in a database.

    Args:
        who: "run" and the run's id, or the command.
        since: None where the server does not tell us.
        database: its name.
    """

    who: str
    since: datetime | None
    database: str


def occupy(
    target: Target, who: str, *, part: str = "", is_exclusive: bool, is_kept: bool = False
) -> AbstractContextManager[Hold]:
    """Hold the database for the block.

    Args:
        who: works there, e.g. "seed".
        part: of it that it works on, the name of a system; empty: on all of it. An SQLite file is held as a whole: each
            system of ours has its own.
        is_exclusive: alone; else together with others that do not ask to be alone.
        is_kept: taken again, in the background, when its session is ended.

    Raises:
        DatabaseError: somebody else works there who does not go with that.
        Unreachable: no connection.
    """
    return target.engine.occupy(target, who, part=part, is_exclusive=is_exclusive, is_kept=is_kept)


def refuse(target: Target, occupants: Sequence[Occupant], why: str = "") -> DatabaseError:
    """Return the error to raise because of who works there.

    Args:
        why: that does not go with what is asked for; empty: it goes with nobody.
    """
    first = next((each for each in occupants if each.who.startswith(RUN)), occupants[0])
    since = f", started {first.since.astimezone():%Y-%m-%d %H:%M:%S}" if first.since else ""
    others = [f"{_named(each)}{_place(target, each)}" for each in occupants if each is not first]
    more = f" and {counted(len(others) - NAMED_MOST, 'other')}" if len(others) > NAMED_MOST else ""
    beside = f", beside {', '.join(others[:NAMED_MOST])}{more}" if others else ""
    because = f", and {why}" if why else ""
    place = _place(target, first)
    if first.who.startswith(RUN):
        return DatabaseError(
            f"{target}: a run works there{place}: {first.who.removeprefix(RUN)}{since}{beside}{because}",
            hint=f"End it first: {typed('stop')}",
        )
    return DatabaseError(
        f"{target}: {_named(first)} works there{place}{since}{beside}{because}",
        hint=f"Wait until {'they have' if others else 'it has'} ended, then try again.",
    )


def _named(occupant: Occupant) -> str:
    if occupant.who.startswith(RUN):
        return f"the {occupant.who}"
    return f"integrity {occupant.who}" if occupant.who else "another command"


def _place(target: Target, occupant: Occupant) -> str:
    """Return in which database it works, where that is not the one that is meant."""
    return f" in {occupant.database}" if occupant.database not in ("", target.engine.database_name(target.url)) else ""
