"""Picks: which statements of anybody's application a fault on the wire strikes, and when of those that it could.

`NAME[:key=value,...]`, e.g. `lost_commit_ack:nth=2,table=payments`: the fault's own arguments, and what it picks by.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from random import Random
from typing import NoReturn

from integrity.errors import UsageError, quote
from integrity.faults.catalogue import FAULTS
from integrity.faults.fault import Argument, Fault, Need, Number, number, word
from integrity.numbers import read_integer
from integrity.sql.tokens import code_tokens
from integrity.suggestion import suggest

TIMES_MOST = 1_000_000_000
COUNTS = ("nth", "first", "every", "share")
PATTERNS = ("table", "statement")
OF_A_RUN = ("every_s", "patience_s", "share")
"""Arguments that mean something in a run's window alone; `share` is picked by in words of its own here."""

_SHARE = Number("of those that it could strike, drawn by the seed", 1.0, 0.0, 1.0)
_OWN: Mapping[str, Mapping[str, Argument]] = {
    "half_open": {
        "for_s": Number("seconds until it is over; 0: when the proxy ends", 0.0, 0.0, 3600.0),
    }
}
_EXAMPLE = "Write it as lost_commit_ack:nth=2,table=payments or connection_reset:every=10."

WIRE_FAULTS: Mapping[str, Fault] = {name: fault for name, fault in FAULTS.items() if Need.PROXY in fault.needs}
"""The faults that need nothing but the proxy."""


def arguments_of(fault: Fault) -> dict[str, Argument]:
    """Return what a fault takes in front of an application, beside what it is picked by."""
    kept = {name: argument for name, argument in fault.arguments.items() if name not in OF_A_RUN}
    return {**kept, **_OWN.get(fault.name, {})}


@dataclass(slots=True)
class Pick:
    """A fault in front of an application.

    Args:
        text: as it was asked for.
        given: the fault's arguments.
        nth, first, every: of those that match: that one alone; so many; each so many-th. 0: not asked for.
        share: of those that match, if none of the three is asked for.
        table, statement: what a statement names; a pattern of its text. Empty: any.
        matched_count, struck_count: how many it could have struck so far, and how many it did.
    """

    text: str
    fault: Fault
    given: Mapping[str, float | str]
    random: Random
    nth: int = 0
    first: int = 0
    every: int = 0
    share: float = 1.0
    table: str = ""
    statement: str = ""
    matched_count: int = field(default=0)
    struck_count: int = field(default=0)

    def matches(self, sql: str) -> bool:
        """Return whether it is about this statement."""
        return (not self.table or names_table(sql, self.table)) and (not self.statement or has_pattern(sql, self.statement))

    def strikes(self) -> bool:
        """Return whether it strikes what has matched just now; counts both."""
        self.matched_count += 1
        count = self.matched_count
        if self.nth:
            is_struck = count == self.nth
        elif self.first:
            is_struck = count <= self.first
        elif self.every:
            is_struck = count % self.every == 0
        else:
            is_struck = self.share >= 1 or self.random.random() < self.share
        self.struck_count += is_struck
        return is_struck

    def number(self, name: str) -> float:
        """Return an argument that is a number."""
        return number(self.given, name)

    def word(self, name: str) -> str:
        """Return an argument that is a word."""
        return word(self.given, name)


@lru_cache(maxsize=4096)
def names_table(sql: str, table: str) -> bool:
    """Return whether a statement names the table, which is `name` or `schema.name`, as the catalogue spells them."""
    names = table.split(".")
    tokens = [token for token in code_tokens(sql) if not token.is_sign(".")]
    texts = [token.text if token.is_name else "" for token in tokens]
    return any(texts[place : place + len(names)] == names for place in range(len(texts)))


@lru_cache(maxsize=4096)
def has_pattern(sql: str, pattern: str) -> bool:
    """Return whether the pattern, with `*` for anything, is somewhere in the statement; case and blanks do not count."""
    return _compiled(" ".join(pattern.split())).match(" ".join(sql.split())) is not None


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(f"*{pattern.replace('[', '[[]')}*"), re.IGNORECASE)


def read_picks(texts: Iterable[str], *, seed: int) -> list[Pick]:
    """Return the faults that the texts ask for.

    Raises:
        UsageError: one cannot be read, or is none that the wire alone can have.
    """
    return [_read_pick(text, Random(f"{seed}/{place}/{text}")) for place, text in enumerate(texts)]


def _read_pick(text: str, random: Random) -> Pick:
    name, _, words = text.partition(":")
    fault = _find_fault(text, name)
    known = arguments_of(fault)
    given: dict[str, float | str] = {key: argument.default for key, argument in known.items()}
    pick = Pick(text, fault, given, random)
    # A pattern may hold commas: only before another key does one end it.
    said = re.split(r",(?=\s*\w+=)", words) if words else []
    counted = [key for key in COUNTS if any(pair.partition("=")[0].strip() == key for pair in said)]
    if len(counted) > 1:
        _refuse(text, f"{counted[0]} and {counted[1]} are two ways to say which", "Leave one out.")
    for pair in said:
        key, mark, value = (part.strip() for part in pair.partition("="))
        if key not in known and key not in COUNTS and key not in PATTERNS:
            _refuse_key(text, fault, key, [*COUNTS, *PATTERNS, *known])
        if not mark or not value:
            _refuse(text, f"{key} has no value", _EXAMPLE)
        try:
            if key in ("nth", "first", "every"):
                setattr(pick, key, read_integer(value, least=1, most=TIMES_MOST))
            elif key == "share":
                pick.share = _SHARE.read(value)
            elif key in PATTERNS:
                setattr(pick, key, value)
            else:
                given[key] = known[key].read(value)
        except ValueError as error:
            _refuse(text, f"{key}: {error}", _EXAMPLE)
    return pick


def _find_fault(text: str, name: str) -> Fault:
    if "@" in name:
        _refuse(text, "a fault in front of an application has no window", _EXAMPLE)
    if name in WIRE_FAULTS:
        return WIRE_FAULTS[name]
    hint = suggest(name, WIRE_FAULTS, always=f"On the wire there are: {', '.join(WIRE_FAULTS)}.")
    is_elsewhere = name in FAULTS
    why = (
        f"{name} does not happen on the wire: integrity run has it" if is_elsewhere else f"there is no fault {quote(name)}"
    )
    return _refuse(text, why, hint)


def _refuse_key(text: str, fault: Fault, key: str, known: Sequence[str]) -> NoReturn:
    if key in fault.arguments:
        _refuse(text, f"{key} is for a run, which has windows", f"It is picked by {', '.join(COUNTS + PATTERNS)}.")
    _refuse(text, f"{fault.name} has no {quote(key)}", suggest(key, known, always=f"There are: {', '.join(known)}."))


def _refuse(text: str, reason: str, hint: str) -> NoReturn:
    raise UsageError(f"--fault {quote(text)}: {reason}", hint=hint)
