"""An engine: a kind of database, and what one can be asked for.

What holds for one kind of database only stands in the folder of its name here, and nowhere else is there an `if` about it:
who needs a thing asks the target's engine for it; who goes another way where an engine lacks something asks for the fact
(`has_levels`), not for the name. To add an engine:

- a folder here whose `engine.py` holds `ENGINE`, an object with all that `Engine` lists, and the schemes of its URLs in the
  one table of engines, known.py. An audit needs of it a snapshot (snapshot.Session), facts, a query plan and a spelling;
  seeding and runs need an inventory, a catalogue, copies, lines, transactions and holds. What it cannot it says by a fact
  that is False, or by an error;
- for load and races, which speak words of rooms above this one, a part of its name in those rooms, found by that name
  (known.find_part): clients/NAME.py (a connection that carries out operations), race/play/NAME/ (who waits for whom) and
  race/export/NAME/ (the library in which an exported test speaks to it).

The modules of an engine are imported when a target first asks for it, so that a command pays for the one that it works on.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from integrity.engines.catalogue import Catalogue
from integrity.engines.copies import Copies
from integrity.engines.definitions import Definition
from integrity.engines.hold import Hold
from integrity.engines.inventory import Inventory
from integrity.engines.line import Line
from integrity.engines.purpose import Purpose
from integrity.engines.server_facts import ServerFacts
from integrity.engines.snapshot import Snapshot
from integrity.engines.spelling import Spelling
from integrity.engines.url import Url
from integrity.errors import Unreachable

if TYPE_CHECKING:
    import sqlalchemy

    from integrity.engines.columns import ColumnValues
    from integrity.engines.preparing import NotUnderstood

T_contra = TypeVar("T_contra", contravariant=True)
"""The target: a type that has an engine, and so is not known here."""


class Engine(Protocol[T_contra]):
    """A kind of database."""

    @property
    def title(self) -> str:
        """As people write it."""
        ...

    @property
    def example_url(self) -> str:
        """What a URL of it looks like, in a hint."""
        ...

    def load_command(self, target: T_contra) -> str:
        """Return what brings the tables of a file into the target, to be typed."""
        ...

    @property
    def spelling(self) -> Spelling:
        """How a query has to be written."""
        ...

    @property
    def shell(self) -> str:
        """The program in which people ask it."""
        ...

    @property
    def has_server(self) -> bool:
        """Whether a server answers, with sessions that it shows and a wire between it and us; else it is files."""
        ...

    @property
    def speaks_postgresql(self) -> bool:
        """Whether it has PostgreSQL's protocol, catalogs and functions: what a proxy of ours reads, and faults speak."""
        ...

    @property
    def has_roles(self) -> bool:
        """Whether there are roles, of which one may see less than another."""
        ...

    @property
    def has_schemas(self) -> bool:
        """Whether a schema is the database's own, which refuses to drop one that holds something; else it is a file."""
        ...

    @property
    def tells_makers(self) -> bool:
        """Whether the catalogue tells by which transaction a table was made."""
        ...

    @property
    def has_levels(self) -> bool:
        """Whether a transaction may be of one isolation level or another; else all are serializable."""
        ...

    @property
    def alters_constraints(self) -> bool:
        """Whether a constraint is made and dropped by itself; else the table is made anew."""
        ...

    @property
    def default_schema(self) -> str:
        """What it calls the schema of a table that names none."""
        ...

    @property
    def has_one_writer(self) -> bool:
        """Whether who writes locks out all others who write."""
        ...

    def read_url(self, text: str) -> Url:
        """Return the URL, its drivername the folder's name.

        Raises:
            ValueError: it is none; only the message of an Unreadable is free of passwords.
            UsageError: it names a database that is of no use.
        """
        ...

    def write_url(self, url: Url, *, shows_secrets: bool) -> str:
        """Return the URL's text, with its passwords for connecting only."""
        ...

    def unreachable(self, target: T_contra, error: Exception, reason: str) -> Unreachable:
        """Return the error to raise when connecting failed, with the next step; the reason's passwords are masked."""
        ...

    def sqlalchemy_engine(self, target: T_contra, namespaces: Sequence[str], purpose: Purpose) -> "sqlalchemy.Engine":
        """See Target.sqlalchemy_engine."""
        ...

    @property
    def sqlalchemy_dialect(self) -> "sqlalchemy.Dialect":
        """In which SQLAlchemy writes statements for it."""
        ...

    @property
    def column_types(self) -> "Mapping[str, type[sqlalchemy.types.TypeEngine[Any]]]":
        """What it has instead of types that it lacks: of a "key" that it counts up itself, an "id", a "time", "json"."""
        ...

    @property
    def driver_error(self) -> type[Exception]:
        """What its driver raises when the database refuses something."""
        ...

    @property
    def schema_names(self) -> dict[str | None, str | None]:
        """What our schemas' names are in it: as SQLAlchemy translates them."""
        ...

    def begin(self, *, checks_foreign_keys: bool) -> Sequence[str]:
        """Return the statements that begin a transaction which writes.

        Args:
            checks_foreign_keys: False for rebuilding a table where that would delete what refers to it.
        """
        ...

    def occupy(
        self, target: T_contra, who: str, *, part: str, is_exclusive: bool, is_kept: bool
    ) -> AbstractContextManager[Hold]:
        """See occupancy.occupy."""
        ...

    def database_name(self, url: Url) -> str:
        """Return what the database is called."""
        ...

    def open_snapshot(
        self, target: T_contra, *, connections: int, timeout_s: float, role: str | None
    ) -> AbstractContextManager[Snapshot]:
        """See Target.open_snapshot."""
        ...

    def open_line(
        self, target: T_contra, schemas: Sequence[str], *, name: str, is_read_only: bool, patience_s: float | None
    ) -> AbstractContextManager[Line]:
        """See Target.open_line."""
        ...

    def find_not_understood(
        self, target: T_contra, statements: Iterable[str], schemas: Sequence[str]
    ) -> "Iterator[NotUnderstood | None]":
        """Yield for each statement, its values still `:name`, why the database does not understand it; None: it does.

        Nothing is executed. Of a statement with such values, what hangs on their types is not told.
        """
        ...

    def find_session_names(self, target: T_contra) -> set[str] | None:
        """Return the names of the sessions in the database; None where there are none to be seen: no server, a standby.

        Raises:
            DatabaseError: the database refuses the question.
        """
        ...

    def read_server(self, target: T_contra) -> ServerFacts:
        """Return what a run has to know of the server.

        Raises:
            DatabaseError: the database refuses the question.
        """
        ...

    def make_scratch(self, target: T_contra, purpose: str) -> AbstractContextManager[Any]:
        """See Target.make_scratch."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """What a transaction of ours asks of tables, and does to them."""
        ...

    def load(self, connection: Any, schema: str, table: str, columns: "Sequence[ColumnValues]", *, is_new: bool) -> int:
        """Append rows to a table; return how many.

        Args:
            connection: the driver's.
            schema: as the engine calls it.
            columns: of equal lengths.
            is_new: the table was made in the open transaction.
        """
        ...

    @property
    def copies(self) -> Copies[T_contra]:
        """How copies of a whole database are kept."""
        ...

    def take_inventory(self, target: T_contra, *, format_of_names: str) -> Inventory:
        """Return what the database holds; it is only read.

        Args:
            format_of_names: of notes that do not identify what they name; where they are of it, who made it is asked of the
                database, if it can tell. Empty: that is not asked.

        Raises:
            Unreachable: no connection.
            DatabaseError: the catalogue or the notes cannot be read.
        """
        ...

    def find_schemas(self, target: T_contra) -> frozenset[str]:
        """Return the schemas that hold tables or views, whoever made them.

        Raises:
            Unreachable: no connection.
            DatabaseError: the catalogue cannot be read.
        """
        ...

    def read_definitions(self, target: T_contra) -> Sequence[Definition]:
        """Return what makes everything anew that the database holds and that is not ours, in about an order in which it can
        be made; what there is no statement for, too.

        Raises:
            Unreachable: no connection.
            DatabaseError: the catalogue cannot be read.
        """
        ...

    def clear_away(self, target: T_contra, schemas: Sequence[str]) -> None:
        """Remove what is left of schemas whose tables were dropped, where that is more than their entry in a catalogue."""
        ...
