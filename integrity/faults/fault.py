"""What a fault is: something that goes wrong on purpose, for a while, during a run.

A fault asks one question of the data's integrity, and names the invariants that answer it. It is an async context: entered,
it is injected; left, it is healed. What it acts on is a Scene (scene.py). Each fault is a module of this folder with one
`FAULT`; catalogue.py lists them, schedule.py reads when they happen.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum

from integrity.errors import quote
from integrity.faults.scene import Scene
from integrity.numbers import read_number

Given = Mapping[str, "float | str"]
"""A fault's arguments, every one with a value."""


class Need(Enum):
    """What a fault cannot do without."""

    POSTGRESQL = "a PostgreSQL database"
    PROXY = "the run's connections to go through the proxy"
    EMBEDDED = "the embedded server, whose processes are ours"
    WEBHOOKS = "a system whose services send webhooks"
    SERVICES = "a system with outside services"
    STREAMS = "a profile with subscribers"
    SESSIONS = "the run's own sessions with the database"


@dataclass(frozen=True, slots=True)
class Number:
    """An argument that is a number, from least to most, both included; text gives its unit and meaning."""

    text: str
    default: float
    least: float
    most: float

    def read(self, word: str) -> float:
        """Return the value that the word stands for.

        Raises:
            ValueError: with the reason.
        """
        return read_number(word, least=self.least, most=self.most)


@dataclass(frozen=True, slots=True)
class ChoiceArgument:
    """An argument that is one of several words."""

    text: str
    words: tuple[str, ...]

    @property
    def default(self) -> str:
        return self.words[0]

    def read(self, word: str) -> str:
        """Return the word.

        Raises:
            ValueError: with the reason.
        """
        if word not in self.words:
            raise ValueError(f"{quote(word)} is none of {', '.join(self.words)}")
        return word


@dataclass(frozen=True, slots=True)
class Name:
    """An argument that names something of the system, e.g. a table; the fault's `check` knows which there are."""

    text: str
    default: str

    def read(self, word: str) -> str:
        """Return the word."""
        return word


Argument = Number | ChoiceArgument | Name


def _nothing(scene: Scene, given: Given) -> None:
    del scene, given


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Args:
        name: e.g. "lost_commit_ack".
        title: what happens, in one line.
        question: what it asks of the data's integrity.
        invariants: the families that answer it: the last part of their names, as every system has them, or a pattern.
        needs: what it cannot do without.
        arguments: name -> what may be said.
        inject: called with the scene and the arguments; the context in which it goes wrong.
        check: raises UsageError where the scene makes it impossible; called before the run begins.
    """

    name: str
    title: str
    question: str
    invariants: tuple[str, ...]
    inject: Callable[[Scene, Given], AbstractAsyncContextManager[None]]
    needs: frozenset[Need] = frozenset()
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    check: Callable[[Scene, Given], None] = _nothing


KEPT = ("acknowledged-call-is-stored", "failed-call-left-nothing", "call-at-most-once", "row-was-asked-for")
"""The invariants over history and rows that every system has: they answer whatever cuts a call off."""

MONEY = ("balance-*", "transfer-sums-to-zero", "*-at-most-once")
"""The invariants that half an effect, or a double one, breaks."""


def number(given: Given, name: str) -> float:
    """Return the value of a Number."""
    value = given[name]
    assert isinstance(value, float)
    return value


def word(given: Given, name: str) -> str:
    """Return the value of a Choice or a Name."""
    value = given[name]
    assert isinstance(value, str)
    return value
