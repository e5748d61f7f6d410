"""Domains: the values an operation's argument may take.

A domain is declared once and drawn from in two ways: by the workload from a seeded random source, skewed so that clients
meet on the same rows, and by Hypothesis as a strategy that shrinks. Keys of rows come from a world: the keys that the
database held when the run began, and those that the run has made since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from integrity.declaring import check_fields
from integrity.errors import UsageError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Key = int | str | UUID | Decimal | datetime | tuple[Any, ...]
"""A value of an argument: of a key of several columns a tuple."""

MADE_MOST = 20_000
"""So many keys that a run has made stay drawable in a pool, or it would grow as long as the run goes on."""


@dataclass(slots=True)
class World:
    """The keys that arguments may name, by pool, e.g. {"wallets": [1, 2, ...]}; each pool in a stable order.

    Args:
        keys: the pools.
        hot_share: the share of draws that go to a pool's hot keys; 0 draws evenly.
        hot_count: how many keys of a pool are hot: the last ones, so that what was made a moment ago is met again.
        named: pool -> keys that were asked for by name: what is pinned stands at these, what is somebody's own is of them.
    """

    keys: dict[str, list[Key]] = field(default_factory=dict)
    hot_share: float = 0.0
    hot_count: int = 16
    named: Mapping[str, Sequence[Key]] = field(default_factory=dict)
    turn: tuple[int, int] = (0, 1)
    """Of the processes that share a run which this is, and how many there are: each counts numbers of its own."""
    _found: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _counted: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def count(self, name: str) -> int:
        """Return the next number of a counter, from 0."""
        number = self._counted.get(name, self.turn[0])
        self._counted[name] = number + self.turn[1]
        return number

    def add(self, pool: str, key: Key) -> None:
        """Make a key drawable, the hottest of its pool; of more than MADE_MOST made ones the older half is forgotten."""
        keys = self.keys.setdefault(pool, [])
        found = self._found.setdefault(pool, len(keys))
        keys.append(key)
        if len(keys) - found > MADE_MOST:
            del keys[found : found + MADE_MOST // 2]

    def pinned(self, pool: str, which: "int | str") -> Key:
        """Return the how-manieth key of a pool, from 1, or the first of another pool."""
        pool, number = (which, 1) if isinstance(which, str) else (pool, which)
        named = self.named.get(pool, ())
        return named[number - 1] if number <= len(named) else self.keys[pool][number - 1]

    def draw_own(self, pool: str, random: Random) -> Key:
        """Return one key of a pool that is somebody's own from now on."""
        named = self.named.get(pool)
        return named[int(random.random() * len(named))] if named else KeyOf(pool).draw(random, self)


class Domain(Protocol):
    """A set of values that can be drawn."""

    def draw(self, random: Random, world: World) -> Key:
        """Return one value. The same random state and world give the same value."""
        ...

    def strategy(self, world: World) -> "SearchStrategy[Key]":
        """Return the Hypothesis strategy over the same values; simplest first."""
        ...


@dataclass(frozen=True, slots=True)
class KeyOf:
    """Keys of existing rows, skewed to the pool's hot keys."""

    pool: str

    def __post_init__(self) -> None:
        check_fields(self)

    def draw(self, random: Random, world: World) -> Key:
        keys = world.keys[self.pool]
        if world.hot_share and random.random() < world.hot_share:
            return keys[-1 - int(random.random() * min(world.hot_count, len(keys)))]
        return keys[int(random.random() * len(keys))]

    def strategy(self, world: World) -> "SearchStrategy[Key]":
        from hypothesis import strategies

        return strategies.sampled_from(world.keys[self.pool])


@dataclass(frozen=True, slots=True)
class IntegerIn:
    """Integers from least to most, both included; multiples of `step` above least."""

    least: int
    most: int
    step: int = 1

    def __post_init__(self) -> None:
        _check_bounds(self, self.least, self.most)
        if self.step < 1:
            raise UsageError(
                f"{self}: step is {self.step}, and each value is so far above the last", hint="Leave it out, or 1."
            )

    def draw(self, random: Random, world: World) -> Key:
        return self.least + self.step * int(random.random() * ((self.most - self.least) // self.step + 1))

    def strategy(self, world: World) -> "SearchStrategy[Key]":
        from hypothesis import strategies

        return strategies.integers(0, (self.most - self.least) // self.step).map(lambda n: self.least + self.step * n)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A closed set of values, all as likely."""

    values: Sequence[Key]

    def __post_init__(self) -> None:
        if not isinstance(self.values, Sequence) or isinstance(self.values, str | bytes):
            said = f"{self}: values is of type {type(self.values).__name__}, and must be a sequence of them"
            raise UsageError(said, hint="Write them so: OneOf((1, 2)).")
        if not self.values:
            raise UsageError(f"{self}: there is no value in it", hint="Write those that it is one of: OneOf((1, 2)).")

    def draw(self, random: Random, world: World) -> Key:
        return self.values[int(random.random() * len(self.values))]

    def strategy(self, world: World) -> "SearchStrategy[Key]":
        from hypothesis import strategies

        return strategies.sampled_from(list(self.values))


@dataclass(frozen=True, slots=True)
class NewKey(KeyOf):
    """Values that no row has yet: in a run a new one each time, in a race those that its stage has in the pool."""


@dataclass(frozen=True, slots=True)
class NewUuid(NewKey):
    """Ids."""

    def draw(self, random: Random, world: World) -> Key:
        return UUID(int=random.getrandbits(128), version=4)

    def strategy(self, world: World) -> "SearchStrategy[Key]":
        from hypothesis import strategies

        return strategies.sampled_from(world.keys[self.pool]) if self.pool in world.keys else strategies.uuids(version=4)


@dataclass(frozen=True, slots=True)
class NewText(NewKey):
    """Texts of twelve letters."""

    def draw(self, random: Random, world: World) -> Key:
        return f"{random.getrandbits(48):012x}"

    def strategy(self, world: World) -> "SearchStrategy[Key]":
        from hypothesis import strategies

        made = strategies.from_regex(r"[0-9a-f]{12}", fullmatch=True)
        return strategies.sampled_from(world.keys[self.pool]) if self.pool in world.keys else made


@dataclass(frozen=True, slots=True)
class Counter(NewKey):
    """Numbers from the first on, each once in a run."""

    first: int = 1

    def draw(self, random: Random, world: World) -> Key:
        return self.first + world.count(self.pool)

    def strategy(self, world: World) -> "SearchStrategy[Key]":
        from hypothesis import strategies

        return strategies.integers(min_value=self.first)


@dataclass(frozen=True, slots=True)
class NumericIn:
    """Decimal numbers from least to most, both included, with as many digits behind the point as either has."""

    least: Decimal
    most: Decimal

    def __post_init__(self) -> None:
        check_fields(self)  # what is compared is a number
        if not (self.least.is_finite() and self.most.is_finite()):
            raise UsageError(
                f"{self}: its bounds are no numbers", hint='Write numbers: NumericIn(Decimal("0.01"), Decimal("99.99")).'
            )
        _check_bounds(self, self.least, self.most)

    def draw(self, random: Random, world: World) -> Key:
        return self._number(int(random.random() * (self._count + 1)))

    def strategy(self, world: World) -> "SearchStrategy[Key]":
        from hypothesis import strategies

        return strategies.integers(0, self._count).map(self._number)

    @property
    def _step(self) -> Decimal:
        exponents = (each.as_tuple().exponent for each in (self.least, self.most))
        return Decimal(1).scaleb(min(0, *(each for each in exponents if isinstance(each, int))))

    @property
    def _count(self) -> int:
        return int((self.most - self.least) / self._step)

    def _number(self, number: int) -> Decimal:
        return self.least + self._step * number


@dataclass(frozen=True, slots=True)
class MomentIn:
    """Times of whole minutes, so long before or after now."""

    least: timedelta
    most: timedelta

    def __post_init__(self) -> None:
        _check_bounds(self, self.least, self.most)

    def draw(self, random: Random, world: World) -> Key:
        return self._moment(int(random.random() * (self._minutes + 1)))

    def strategy(self, world: World) -> "SearchStrategy[Key]":
        from hypothesis import strategies

        return strategies.integers(0, self._minutes).map(self._moment)

    @property
    def _minutes(self) -> int:
        return (self.most - self.least) // timedelta(minutes=1)

    def _moment(self, minutes: int) -> datetime:
        return datetime.now(UTC).replace(second=0, microsecond=0) + self.least + timedelta(minutes=minutes)


def _check_bounds(domain: "IntegerIn | NumericIn | MomentIn", least: Any, most: Any) -> None:
    """Raise where a domain's fields are not of their types, or there is nothing between its bounds.

    Raises:
        UsageError: so it is.
    """
    check_fields(domain)
    if least > most:
        raise UsageError(f"{domain}: no value is from {least} to {most}", hint="Write the least first, then the greatest.")


def from_history(domain: Domain, value: Any) -> Key:
    """Return the value of a domain that a history tells, which is JSON."""
    if isinstance(domain, NumericIn):
        return Decimal(str(value))
    found: Key = datetime.fromisoformat(value) if isinstance(domain, MomentIn) else value
    return found
