"""What a system's seeder is: rows of a past day, made in batches, each a consistent piece of the world by itself."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from integrity.database.bulk import Column


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table, as columns."""

    table: str
    columns: Sequence[Column]

    def __len__(self) -> int:
        return len(self.columns[0])


@dataclass(frozen=True, slots=True)
class Batch:
    """A piece of the world.

    Args:
        wallet_count: how much of what was asked for it holds.
        tables: rows, each table's after those they refer to; a table may be left out.
    """

    wallet_count: int
    tables: Sequence[Rows]


@dataclass(frozen=True, slots=True)
class Start:
    """What a database holds before it is added to; of an empty one every next id is 1 and nothing else is there.

    Args:
        next_ids: table -> the first free id.
        found: the answers to the seeder's reads; empty for an empty database.
    """

    next_ids: Mapping[str, int]
    found: Mapping[str, Sequence[tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class Seeder:
    """How a system is seeded.

    Args:
        name: the system's; its settings are in seeds/<name>.toml.
        reads: what must be known of a database before it is added to: name -> a query.
        generate: (wallet_count, seed, start) -> batches. The same three make the same rows.
    """

    name: str
    reads: Mapping[str, str]
    generate: Callable[[int, int, Start], Iterator[Batch]]
