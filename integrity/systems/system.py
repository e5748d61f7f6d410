"""What a system is: a schema, operations, the outside services it talks to, and the bugs that can be planted in it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import MetaData

from integrity.database.constraints import name_constraints
from integrity.database.made import OURS
from integrity.database.names import schemas_of
from integrity.declaring import check_fields
from integrity.endpoints.table import Endpoints
from integrity.engines.places import DEFAULT_SCHEMA
from integrity.engines.target import Target
from integrity.errors import AuditError, UsageError, quote
from integrity.operation import NOTHING, Allowed, Operation, Steps
from integrity.project import SYSTEM_NAME, SYSTEM_NAME_HINT
from integrity.suggestion import suggest
from integrity.systems.made_stage import MadeStage, key_queries, pools_of
from integrity.systems.marked import check_marks
from integrity.systems.narrowing import narrowed
from integrity.systems.planned_limit import PlannedLimit
from integrity.systems.reflect import Reflected
from integrity.systems.seeder import Seeder
from integrity.systems.service import Service
from integrity.systems.stage import Stage
from integrity.systems.wanted_row import WantedRow


@dataclass(frozen=True, slots=True)
class SystemReference:
    """Where a system is found: what can be written into a file or sent to another process in its place.

    Args:
        name: the system's.
        path: as "module:attribute"; without a colon: a folder of operations' files.
        folder: to import from beside what is installed, and that the path is below; empty: none.
        place: where it is declared, for messages: "integrity.toml: systems.bank"; empty: by us.
    """

    name: str
    path: str
    folder: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A stream that clients keep open, as a pair of operations.

    A subscriber calls `operation` to connect; the call pushes what was missed since the cursor and replies with where the
    stream stands. Then `follow` is asked again and again, with the same arguments, for what has come since.

    Args:
        operation: its name, e.g. "open_stream".
        follow: pushes what came after the cursor, and replies with the new one.
        cursor: the argument, and the name in both replies, that says up to where the client has seen the stream; None in a
            first call: from now on.
    """

    operation: str
    follow: Operation
    cursor: str = "last_sequence"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Sweep:
    """How the system takes up what was left open: a payment without an answer, a message that is still queued.

    Args:
        operation: its name; such a call is about some of what is open, and safe to make again.
        open: a query of the calls to make: a column for each argument, and open_count, the rows that the call is about.
            `:began_at` is when the run began: what is older is not its matter.
    """

    operation: str
    open: str

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Bug:
    """Something a developer forgot, planted on purpose.

    Args:
        name: e.g. "double_credit".
        forgotten: what was forgotten, in one sentence.
        operations: the operations it replaces, by name.
        dropped: constraints and unique indexes that it leaves out, as "table.constraint".
        violates: the invariants that a run with it violates, exactly these.
        may_violate: others that some runs violate, too, when something comes at the very moment.
        race: the operations that collide, or empty when no interleaving is needed (a crash, an arithmetic slip).
        schedule: the shortest schedule that shows it, as `integrity race` writes it, e.g. "AB"; empty without a race.
    """

    name: str
    forgotten: str
    operations: Mapping[str, Operation]
    violates: tuple[str, ...]
    may_violate: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    race: tuple[str, ...] = ()
    schedule: str = ""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class System:
    """An application under audit.

    Args:
        name: also the name of its folders of invariants and queries.
        title: one line that says what it is.
        metadata: its tables, in one schema or in several; left out: those that a database has in `public`, see reflect.py.
        operations: the sound ones, by name.
        services: the outside services, by the name that Request steps use.
        request_keys: service -> the key of its payloads that says what is asked of it, e.g. mint -> "do", where it answers
            more than one question; runs tell their times apart by it.
        own_services: of the services, those that are the system's or its clients' own: in their process, also where the
            outside ones are servers.
        pools: pools of keys that arguments are drawn from: pool name -> a query whose first column lists them in order.
        makes: keys that an operation's ok reply adds to a pool: operation -> (pool, name in the reply).
        bugs: what can be planted, by name.
        subscriptions: the streams that clients can keep open, by the operation that opens them.
        sweeps: take up what clients and services have left open.
        stage: makes a small world of rows for one race, in which every invariant holds, and returns its keys, named by pool
            and number: Ok({"wallets_1": 41, "wallets_2": 42, ...}).
        rows: what a race is to be played on where there is no stage: those that matter, the rest is made of the tables. A
            pool that is named as a table, and no query of `pools`, is of the keys of such rows.
        rows_of: those of a race of some operations, by their names, where not all want the same.
        likely_of: table and column -> literals, of a first row and of others, with which calls of some operations, by their
            names, are accepted: for the columns of such rows that nobody gave a value.
        raced: the operations whose rows its stage has; empty: all.
        seeder: makes its worlds; None: they are made elsewhere.
        profiles: a file of its load profiles.
        endpoints: what its operations are called over HTTP; None: nobody asks for them that way.
        allowed: what calls of every operation may come to beside others.
        limits: what its plan asks of the database and the processes that serve it, by the names of the monitor's alerts.
        unusable: why operations that it is said to have cannot be called, by their names.
        find_faults: asks a database, and of its tables, which operations it does not understand, and why: by their names.
        is_requested: its operations are requests to somebody's application: nothing of them is carried out here.
        reference: where it was found; None: it was passed as an object.
    """

    name: str
    title: str
    metadata: MetaData = field(default_factory=Reflected)
    operations: Mapping[str, Operation] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    request_keys: Mapping[str, str] = field(default_factory=dict)
    own_services: frozenset[str] = frozenset()
    pools: Mapping[str, str] = field(default_factory=dict)
    makes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    bugs: Mapping[str, Bug] = field(default_factory=dict)
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)
    sweeps: tuple[Sweep, ...] = ()
    stage: Callable[[], Stage] | None = None
    rows: Sequence[WantedRow] = ()
    rows_of: Callable[[Collection[str]], Sequence[WantedRow]] | None = None
    likely_of: Callable[[Collection[str]], Mapping[tuple[str, str], tuple[str, ...]]] | None = None
    raced: tuple[str, ...] = ()
    seeder: Seeder | None = None
    profiles: Path | None = None
    endpoints: Endpoints | None = None
    allowed: Allowed = NOTHING
    limits: Mapping[str, PlannedLimit] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)
    find_faults: "Callable[[Target, MetaData], Mapping[str, AuditError]] | None" = None
    is_requested: bool = False
    reference: SystemReference | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        if not SYSTEM_NAME.fullmatch(self.name):  # it is a part of the names of views
            raise UsageError(f"{quote(self.name)} is no name of a system", hint=SYSTEM_NAME_HINT)
        if self.name == OURS or OURS in self.schemas:
            raise UsageError(
                f"system {quote(self.name)}: {OURS} is the name of our own books", hint="Give it, or its schema, another."
            )
        if self.endpoints is not None:
            self.endpoints.check(self.operations)
            self.endpoints.check_streams(self.subscriptions)
        if self.is_known:
            # Constraints are left out, compared and told about by name.
            name_constraints(self.metadata)

    @property
    def is_known(self) -> bool:
        """Whether its tables are: those of a system without a model are when a database was asked."""
        return not isinstance(self.metadata, Reflected) or self.metadata.catalogue is not None

    @property
    def schemas(self) -> tuple[str, ...]:
        """The schemas that its tables stand in, in the order of the tables; "public" for those that name none."""
        if isinstance(self.metadata, Reflected):
            read = schemas_of(self.metadata) if self.is_known else ()
            return tuple(dict.fromkeys((*self.metadata.places, *read)))
        return schemas_of(self.metadata)

    def on(self, target: Target, *, raced_with: Iterable[str] | None = None) -> "System":
        """Return the system with the tables that a database has, where it has no model of its own; else itself.

        It has a stage of its rows then, and each pool that is named as a table has that table's keys.

        Args:
            raced_with: it is for a race, in which these tables are read, too, as "table" or "schema.table": of very many
                tables those are enough that the race can touch, where its operations name theirs.

        Raises:
            UsageError: there are no tables in its schemas.
            DatabaseError: the catalogue cannot be read.
        """
        if not isinstance(self.metadata, Reflected) or self.metadata.is_read:
            return self
        tables = self.metadata.read(target)
        given = self.stage or tables.stage
        drawn = pools_of(each.arguments.values() for each in self.operations.values())
        operations = [*self.operations.values(), *(each for bug in self.bugs.values() for each in bug.operations.values())]
        if raced_with is not None and self.rows and all(each.tables is not None for each in operations):
            named = [name for each in operations for name in each.tables or ()]
            named += [f"{mark.schema or DEFAULT_SCHEMA}.{mark.table}" for each in operations for mark in each.marks]
            tables = narrowed(tables, [*named, *(row.table for row in self.rows), *drawn, *raced_with])
        drawn_by = {name: pools_of([each.arguments.values()]) for name, each in self.operations.items()}
        likely = self.likely_of(self.operations) if self.likely_of else {}
        stage = MadeStage(
            target, tables, given, self.rows, self.rows_of, drawn_by, self.pools, likely=likely, likely_by=self.likely_of
        )
        return replace(
            self,
            metadata=tables,
            stage=stage if given is not None or self.rows or not drawn else None,
            pools={**key_queries(tables, drawn), **self.pools},
        )

    def raced_as(self, names: Collection[str]) -> "System":
        """Return the system as a race of these operations has it: on the rows that they want; itself if all want the same.

        Args:
            names: none: of all.
        """
        if not names or not isinstance(self.stage, MadeStage):
            return self
        return replace(self, stage=self.stage.of(names), raced=tuple(sorted(set(names))))

    def understood_by(self, target: Target, *, asked: Collection[str] = (), is_raced: bool = False) -> "System":
        """Return the system without the operations whose statements a database does not understand, and without their rows.

        Args:
            asked: operations that are named: one that it does not understand is an error.
            is_raced: nor those whose rows cannot be made.

        Raises:
            UsageError: it does not understand one that is asked for, or none at all; or marks name what there is not.
        """
        if self.is_known and self.find_faults is None:  # those of files are told by their statements
            check_marks(
                [*self.operations.values(), *(each for bug in self.bugs.values() for each in bug.operations.values())],
                self.metadata,
            )
        faults = dict(self.find_faults(target, self.metadata)) if self.find_faults and self.is_known else {}
        if is_raced:
            faults |= self._find_rowless([name for name in self.operations if name not in faults])
        for name, fault in faults.items():
            if name in asked or len(faults) == len(self.operations):
                raise fault
        if not faults:
            return self
        left = {name: each for name, each in self.operations.items() if name not in faults}
        unusable = {**self.unusable, **{name: str(each) for name, each in faults.items()}}
        return replace(self.raced_as(left).of(left), unusable=unusable)

    def of(self, operations: Mapping[str, Operation]) -> "System":
        """Return the system with these operations in place of its own, which may be fewer."""
        endpoints = None if self.endpoints is None else self.endpoints.of(operations)
        return replace(self, operations=operations, endpoints=endpoints)

    def _find_rowless(self, names: Iterable[str]) -> dict[str, AuditError]:
        """Return the errors of the operations that want rows of their own which cannot be made, by name."""
        faults: dict[str, AuditError] = {}
        for name in names if self.rows_of else ():
            stage = self.raced_as([name]).stage
            try:
                if isinstance(stage, MadeStage):
                    stage()
            except UsageError as error:
                faults[name] = error
        return faults

    @property
    def path(self) -> str:
        """What a file says beside its name to find it again, as "module:attribute"; empty: the name is enough."""
        return self.reference.path if self.reference and self.reference.place else ""

    def found_at(self, reference: SystemReference) -> "System":
        """Return the system with where it was found."""
        return replace(self, reference=reference)

    def find_bug(self, name: str) -> Bug:
        """Return the bug of that name.

        Raises:
            UsageError: it has none of that name.
        """
        if name not in self.bugs:
            known = ", ".join(sorted(self.bugs)) or "none"
            hint = suggest(name, self.bugs, always=f"Its bugs are: {known}.")
            raise UsageError(f"system {self.name} has no bug {quote(name)}", hint=hint)
        return self.bugs[name]

    def describe_unusable(self) -> Iterator[str]:
        """Yield of each operation that cannot be called that it is left out, and why."""
        return (f"{name} is left out: {fault}" for name, fault in self.unusable.items())

    def operations_with(self, bug: Bug | None) -> dict[str, Operation]:
        """Return the operations by name, those that the bug replaces replaced."""
        return {**self.operations, **(bug.operations if bug else {})}


def instead(operations: Mapping[str, Operation], steps: Callable[..., Steps], *names: str) -> dict[str, Operation]:
    """Return the operations of these names with other steps: what a bug replaces."""
    return {name: replace(operations[name], steps=steps) for name in names}
