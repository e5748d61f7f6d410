"""Tokens: a schedule and how it goes wrong, in one line that a chat, a ticket or a test can hold.

    r1:buy:9f2c61e04ab7:0-1.02:B2:s
       |   |            |      |  how it goes wrong: by serial equivalence
       |   |            |      where it departs from going on: at letter 2 B goes on (36 digits count)
       |   |            the actors that are left, by number, and of their requests those that are (none said: all)
       |   the digest of what is raced
       the scenario

It plays the same wherever that digest is the same: points are of letters, and letters are the database's.
"""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from string import digits

from integrity.errors import UsageError, quote
from integrity.race.judge.oracles import Oracle
from integrity.race.search.least import Cast, Least
from integrity.race.search.shrink import Point, points_of

MARK = "r1:"
LENGTH_MOST = 120
_NAME_MOST = 32
_NUMERALS = digits + "abcdefghijklmnopqrstuvwxyz"
_CODES = {
    Oracle.INVARIANT: "i", Oracle.SERIAL: "s", Oracle.SWALLOWED: "w", Oracle.FAILURE: "f", Oracle.DEADLOCK: "d",
    Oracle.REPLIES: "r",
}  # fmt: skip
_TOKEN = re.compile(
    r"r1:(?P<name>[^:\s]*):(?P<digest>[0-9a-f]+):(?P<kept>(?:\d+(?:\.\d*)?(?:-\d+(?:\.\d*)?)*)?)"
    r":(?P<points>(?:[A-Z][0-9a-z]+)*):(?P<failures>(?:[a-z][0-9A-F]*)+)"
)


@dataclass(frozen=True, slots=True)
class Token:
    """See the module.

    Args:
        name: of what is raced.
        digest: of it.
        kept: the actors that are left, each with its requests; None of these: all. Empty: all actors.
        points: see shrink.Point.
        failures: codes of how it goes wrong, as `code_of` has them.
    """

    name: str
    digest: str
    kept: tuple[tuple[int, tuple[int, ...] | None], ...]
    points: tuple[Point, ...]
    failures: frozenset[str]

    def __str__(self) -> str:
        """The token; empty where it would be too long for one."""
        kept = "-".join(f"{number}" if of is None else f"{number}.{''.join(map(str, of))}" for number, of in self.kept)
        points = "".join(f"{actor}{_numeral(position)}" for position, actor in self.points)
        name = re.sub(r"[^\w.-]+", "_", self.name)[:_NAME_MOST]
        text = f"{MARK}{name}:{self.digest}:{kept}:{points}:{''.join(sorted(self.failures))}"
        return text if len(text) <= LENGTH_MOST else ""

    def is_of(self, name: str) -> bool:
        """Return whether what is called so may be meant."""
        return re.sub(r"[^\w.-]+", "_", name)[:_NAME_MOST] == self.name


def read_token(text: str) -> Token:
    """Return the token that a text is.

    Raises:
        UsageError: it is none.
    """
    found = _TOKEN.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{quote(text)} is no token of a finding", hint="Copy it whole, from r1: on, as `integrity race` prints it."
        )
    kept = []
    for part in filter(None, found["kept"].split("-")):
        number, is_some, of = part.partition(".")
        kept.append((int(number), tuple(map(int, of)) if is_some else None))
    points = tuple((int(at, 36), actor) for actor, at in re.findall(r"([A-Z])([0-9a-z]+)", found["points"]))
    failures = frozenset(re.findall(r"[a-z][0-9A-F]*", found["failures"]))
    return Token(found["name"], found["digest"], tuple(kept), points, failures)


def token_of(name: str, digest: str, least: Least, whole: Cast) -> Token:
    """Return the token of the least that goes wrong.

    Args:
        name, digest: of what is raced.
        whole: all actors of it, with all of their parts.
    """
    parts = dict(whole)
    kept = tuple((number, None if of == parts[number] else of) for number, of in least.cast)
    failures = codes_of(least.judgement.of_race or least.judgement.fingerprint)
    return Token(name, digest, () if least.cast == whole else kept, points_of(least.run.choices), failures)


def code_of(fingerprint: tuple[str, str]) -> str:
    """Return what stands for a failure in a token: of which kind it is and, in four digits, of what name."""
    oracle, name = fingerprint
    return _CODES[Oracle(oracle)] + (hashlib.sha256(name.encode()).hexdigest()[:4].upper() if name else "")


def codes_of(fingerprints: Collection[tuple[str, str]]) -> frozenset[str]:
    """Return the same for each."""
    return frozenset(map(code_of, fingerprints))


def describe_code(code: str, checks: Collection[str] = ()) -> str:
    """Return in words what a code stands for.

    Args:
        checks: names of invariants that may be meant: a code holds what tells a name from others, and not the name.
    """
    for name in checks:
        if code == code_of((Oracle.INVARIANT, name)):
            return name
    return next(oracle.value for oracle, letter in _CODES.items() if code[:1] == letter)


def _numeral(number: int) -> str:
    text = ""
    while number or not text:
        number, digit = divmod(number, len(_NUMERALS))
        text = _NUMERALS[digit] + text
    return text
