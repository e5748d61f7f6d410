"""Schedules: the order in which actors go on, in one line of letters.

Actors are A, B, C, ... in the order in which they were given. One letter lets its actor do one thing that others could
notice: a statement, or the commit (or rollback) of a transaction that wrote, is serializable, or holds an advisory lock or
one on a table. A begin goes with the statement behind it, the end of any other transaction with the statement before it. A
statement outside a transaction that writes is two letters, one to execute it and one to commit it, because a single
statement races with itself in between.

    A: begin, select ... for update, update, commit     = three letters
    B: insert ... where not exists (...)                = two letters

An actor that waits for a lock has had its letter: it goes on by itself as soon as the lock is free, before the next letter
counts. A schedule may stop early: the actor of the last letter then goes on to its end, and after it the others in order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from integrity.errors import UsageError, quote

ACTORS_MAX = len(ascii_uppercase)

Decide = Callable[[str, str], str]
"""Given the ready actors, in order, and the actor before, returns who goes on."""


class ScheduleError(UsageError):
    """A schedule that cannot be read, or that does not fit its program."""


def parse(text: str, *, actor_count: int) -> str:
    """Return the letters of a schedule; blanks and lower case are forgiven.

    Raises:
        ScheduleError: another character, or an actor that the program does not have.
    """
    letters = "".join(text.split()).upper()
    known = ascii_uppercase[:actor_count]
    for position, letter in enumerate(letters, start=1):
        if letter not in known:
            raise ScheduleError(
                f"schedule {quote(text)}: letter {position} is {letter!r}, which is no actor",
                hint=f"The actors here are {', '.join(known)}.",
            )
    return letters


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision of a schedule.

    Args:
        ready: the actors that could go on, in order.
        previous: the actor of the letter before, empty at the start.
        chosen: one of the ready ones.
    """

    ready: str
    previous: str
    chosen: str

    @property
    def is_preemption(self) -> bool:
        """The actor before could have gone on, and another did."""
        return self.previous not in ("", self.chosen) and self.previous in self.ready


def letters_of(choices: Sequence[Choice]) -> str:
    return "".join(choice.chosen for choice in choices)


def count_preemptions(choices: Sequence[Choice]) -> int:
    return sum(choice.is_preemption for choice in choices)


def shorten(choices: Sequence[Choice]) -> str:
    """Return the shortest text that plays the same: without the letters that would follow by themselves."""
    letters = letters_of(choices)
    end = len(choices)
    while end and choices[end - 1].chosen == continue_with(choices[end - 1].ready, choices[end - 1].previous):
        end -= 1
    return letters[:end]


def continue_with(ready: str, previous: str) -> str:
    """Return who goes on when a schedule does not say: the actor before if it can, else the first that can."""
    return previous if previous and previous in ready else ready[0]
