"""What a system's seeder is: rows of a past day, made in batches, each a consistent piece of the world by itself."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from integrity.engines.columns import ColumnValues


@dataclass(frozen=True, slots=True)
class SeededRows:
    """Rows of one table, as columns.

    Args:
        table: its name; with its schema, as "app.entries", where the system has another of that name.
    """

    table: str
    columns: Sequence[ColumnValues]

    def __len__(self) -> int:
        return len(self.columns[0])


@dataclass(frozen=True, slots=True)
class Batch:
    """A piece of the world.

    Args:
        done: how much it holds of the seeder's first size.
        tables: rows, each table's after those they refer to; a table may be left out.
    """

    done: int
    tables: Sequence[SeededRows]


@dataclass(frozen=True, slots=True)
class Start:
    """What a database holds before it is added to; of an empty one every next id is 1 and nothing else is there.

    Args:
        next_ids: table -> the first free id.
        found: the answers to the seeder's reads; empty for an empty database.
        settings: the project's own file of settings for this seeder; None: that of the system.
    """

    next_ids: Mapping[str, int]
    found: Mapping[str, Sequence[tuple[int, ...]]]
    settings: Path | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """One of the numbers that say how large a world is.

    Args:
        name: what is counted, e.g. "wallets"; the command's option is --wallets. Systems may share a name.
        default: how many there are if nothing is said.
        most: more is refused.
    """

    name: str
    default: int
    most: int


@dataclass(frozen=True, slots=True)
class Seeder:
    """How a system is seeded.

    Args:
        name: the system's; its settings are in seeds/<name>.toml.
        sizes: the numbers that say how large the world is; progress is told in the first.
        reads: what must be known of a database before it is added to: name -> a query.
        generate: (name of a size -> number, seed, start) -> batches. The same three make the same rows.
    """

    name: str
    sizes: Sequence[Size]
    reads: Mapping[str, str]
    generate: Callable[[Mapping[str, int], int, Start], Iterator[Batch]]

    def complete(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Return all sizes in their order, those that are not given by default; others' are left out."""
        return {size.name: sizes.get(size.name, size.default) for size in self.sizes}
