"""Tables whose changes are seen, and what is not seen."""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class CapturedColumn:
    """A column.

    Args:
        type_oid: of its type; of a domain's the domain.
        generated: how the database makes it up from the others: "s" it is stored, "v" it is not; empty: it is not made up.
        is_numbered: a sequence gives its value, unless the statement does.
        is_set_once: no update may give it another value (`generated always as identity`).
    """

    name: str
    type_oid: int
    generated: str = ""
    is_numbered: bool = False
    is_set_once: bool = False

    @property
    def is_virtual(self) -> bool:
        """Triggers see nothing in it."""
        return self.generated == "v"


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of a primary key.

    Args:
        operator: by which the key's index tells its values apart, as SQL has it: `operator(pg_catalog.=)`.
    """

    name: str
    operator: str


@dataclass(frozen=True, slots=True)
class Guard:
    """A trigger or a rule of the application's.

    Args:
        kind: "trigger" or "rule".
        firing: as the catalogue has it: "O" in usual sessions, "R" in those of a replica, "A" always.
    """

    kind: str
    name: str
    firing: str


@dataclass(frozen=True)
class CapturedTable:
    """A table with our triggers; of a partitioned one each partition is one.

    Args:
        name: without its schema, unless another has its name.
        key: of its primary key; empty: it has none.
        guards: the application's triggers and rules that would run in a session of ours that writes there.
    """

    oid: int
    schema: str
    table: str
    name: str
    columns: tuple[CapturedColumn, ...]
    key: tuple[KeyColumn, ...]
    guards: tuple[Guard, ...] = ()

    @cached_property
    def key_places(self) -> tuple[int, ...]:
        """Where the columns of the key stand among its columns."""
        names = [column.name for column in self.columns]
        return tuple(names.index(part.name) for part in self.key)


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Something whose changes are not seen.

    Args:
        what: e.g. "foreign table prices".
        reason: in words.
        is_writable: the role may change its rows by plain statements.
    """

    what: str
    reason: str
    is_writable: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"
