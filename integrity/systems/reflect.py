"""Reflection: the tables of a system that has no model of them, as a database has them.

    BANK = System(name="bank", title="...", operations=OPERATIONS)  # those in `public`
    SHOP = System(name="shop", title="...", metadata=Reflected("public", "billing"), operations=OPERATIONS)
    bank = BANK.on(target)          # bank.metadata: its tables

SQLAlchemy reads tables, columns, keys, checks, enums and domains. What it does not read is asked of the catalogue: all
checks of a domain, exclusion constraints, and what makes everything anew (engines/definitions.py). A partition is no table
of its own here: its rows are those of its parent.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, MetaData, Table, inspect, text
from sqlalchemy.exc import SAWarning
from sqlalchemy.schema import sort_tables_and_constraints

from integrity.engines.definitions import Definition
from integrity.engines.places import DEFAULT_SCHEMA, TableName, schema_of
from integrity.engines.purpose import Purpose
from integrity.engines.schemas import schema_in
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import UsageError
from integrity.systems.stage import Stage


@dataclass(frozen=True, slots=True)
class DomainType:
    """A domain of PostgreSQL.

    Args:
        checks: conditions on `VALUE`, as the catalogue spells them, its own and those of the domains that it is made of.
        is_required: it refuses null.
    """

    schema: str
    name: str
    base: str
    checks: tuple[str, ...] = ()
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An exclusion constraint of PostgreSQL.

    Args:
        elements: columns, or expressions, each with its operator: [("room_id", "="), ("during", "&&")].
        definition: as the catalogue spells it: "EXCLUDE USING gist (room_id WITH =, during WITH &&)".
    """

    name: str
    elements: tuple[tuple[str, str], ...]
    definition: str


_HINT_OF_PYTHON = "Or name the schemas that they stand in: System(..., metadata=Reflected('shop'))."


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a database says of itself beside its tables.

    Args:
        definitions: what makes everything anew, in about that order.
        domains: by schema and name.
        exclusions: of each table.
        partitions: of each table that has some: its key, "RANGE (created_at)", and what each of them takes,
            "FOR VALUES FROM (...) TO (...)" or "DEFAULT".
    """

    definitions: Sequence[Definition] = ()
    domains: Mapping[TableName, DomainType] = field(default_factory=dict)
    exclusions: Mapping[TableName, Sequence[Exclusion]] = field(default_factory=dict)
    partitions: Mapping[TableName, Sequence[str]] = field(default_factory=dict)


class Reflected(MetaData):
    """Tables as a database has them; until one was asked there are none, and whoever wants them is told so.

    Args:
        schemas: in which they stand.
        catalogue: what else the database says; None: none was asked.
        hint: as reflect takes it.
    """

    def __init__(self, *schemas: str, catalogue: Catalogue | None = None, hint: str = "") -> None:
        super().__init__()
        self.places = schemas or (DEFAULT_SCHEMA,)
        self.catalogue = catalogue
        self.hint = hint
        self.missing: tuple[str, ...] = ()
        """What a scratch database that was made of it lacks, each with the reason."""
        self.made: tuple[Definition, ...] = ()
        """What one was made of, in the order in which that went."""
        self.stage: Callable[[], Stage] | None = None
        """The rows that were in them, where those are what races are played on."""

    def read(self, target: Target) -> "Reflected":
        """Return the tables of a database.

        Raises:
            UsageError: there are none.
            DatabaseError: the catalogue cannot be read.
        """
        return reflect(target, self.places, hint=self.hint)

    @property
    def is_read(self) -> bool:
        """Whether a database was asked."""
        return self.catalogue is not None

    @property
    def raced_tables(self) -> list[Table]:
        """The tables that races have to themselves: they are emptied, and compared."""
        return self.sorted_tables

    @property
    def sorted_tables(self) -> list[Table]:
        """The tables, each behind those that it refers to as far as they refer to none another in a circle."""
        if self.catalogue is None:
            raise UsageError(
                "a system without `metadata` has the tables of a database, and none was named",
                hint="Give its System the MetaData of its tables.",
            )
        in_order = sorted(self.tables.values(), key=lambda table: table.key)
        ordered: Any = sort_tables_and_constraints(in_order)  # type: ignore[no-untyped-call]  # SQLAlchemy says nothing
        return [table for table, _ in ordered if table is not None]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "own": (self.places, self.catalogue, self.missing, self.made, self.hint)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.places, self.catalogue, self.missing, self.made, self.hint = state["own"]
        super().__setstate__(state)


def reflect(target: Target, schemas: Sequence[str] = (DEFAULT_SCHEMA,), *, hint: str = "") -> Reflected:
    """Return the tables that stand in these schemas, and those that they refer to elsewhere.

    A table of `public` names no schema, as in a model that names none. Nothing but the catalogue is read.

    Args:
        hint: what else to do where there is no table; empty: that of a system in Python.

    Raises:
        Unreachable: no connection.
        UsageError: the database has no such schema, or no table there.
        DatabaseError: the catalogue cannot be read.
    """
    import warnings

    from sqlalchemy.exc import DBAPIError

    has_schemas = target.engine.has_schemas
    definitions = target.engine.read_definitions(target)
    engine = target.sqlalchemy_engine(schemas, purpose=Purpose.REFLECTING)
    try:
        with engine.connect() as connection, warnings.catch_warnings():
            # Types of extensions, expressions of indexes: what it does not know it leaves out; the definitions have it.
            warnings.simplefilter("ignore", SAWarning)
            catalogue = _read_catalogue(connection, definitions) if has_schemas else Catalogue(definitions)
            metadata = Reflected(*schemas, catalogue=catalogue)
            for schema in schemas:
                _reflect_schema(connection, metadata, schema)
            if has_schemas:
                _take_out_partitions(metadata, {(schema, name) for schema, name in connection.execute(_PARTITIONS)})
                _take_out_exclusions(metadata)
    except DBAPIError as error:
        raise refusal(target, error.orig) from None
    except target.engine.driver_error as error:
        raise refusal(target, error) from None
    finally:
        engine.dispose()
    if not metadata.tables:
        named = " or ".join(schemas)
        raise UsageError(
            f"{target}: there is no table in {named}",
            hint=f"Make the tables first: {target.engine.load_command(target)}. {hint or _HINT_OF_PYTHON}",
        )
    return metadata


def _reflect_schema(connection: Connection, metadata: Reflected, schema: str) -> None:
    place = None if schema == DEFAULT_SCHEMA else schema_in(connection.dialect.name, schema)
    if place is None or place in inspect(connection).get_schema_names():
        metadata.reflect(connection, schema=place)


def _take_out_partitions(metadata: Reflected, partitions: Set[tuple[str, str]]) -> None:
    """Leave out partitions, and the foreign keys to them, which PostgreSQL makes beside the one to their parent."""
    members = [table for table in metadata.tables.values() if (schema_of(table), table.name) in partitions]
    for table in metadata.tables.values():
        for constraint in table.foreign_key_constraints:
            if constraint.referred_table in members:
                table.constraints.discard(constraint)
                for element in constraint.elements:
                    element.parent.foreign_keys.discard(element)
                    table.foreign_keys.discard(element)
    for table in members:
        metadata.remove(table)


def _take_out_exclusions(metadata: Reflected) -> None:
    """Leave out the indexes that are exclusion constraints: they can be made and dropped as those only."""
    assert metadata.catalogue is not None
    for table in metadata.tables.values():
        names = {each.name for each in metadata.catalogue.exclusions.get((schema_of(table), table.name), ())}
        for index in [index for index in table.indexes if index.name in names]:
            table.indexes.discard(index)


def _read_catalogue(connection: Connection, definitions: Sequence[Definition]) -> Catalogue:
    exclusions: dict[TableName, list[Exclusion]] = {}
    for schema, table, name, elements, operators, definition in connection.execute(_EXCLUSIONS):
        known = Exclusion(name, tuple(zip(elements, operators, strict=True)), definition)
        exclusions.setdefault((schema, table), []).append(known)
    partitions: dict[TableName, list[str]] = {}
    for schema, table, key, bound in connection.execute(_BOUNDS):
        partitions.setdefault((schema, table), [key]).append(bound)
    domains = {
        (schema, name): DomainType(schema, name, base, tuple(checks or ()), is_required)
        for schema, name, base, checks, is_required in connection.execute(_DOMAINS)
    }
    return Catalogue(definitions, domains, exclusions, partitions)


_PARTITIONS = text(
    """
    select n.nspname, c.relname
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relispartition
    """
)

_BOUNDS = text(
    """
    select n.nspname, p.relname, pg_get_partkeydef(p.oid), pg_get_expr(c.relpartbound, c.oid)
    from pg_catalog.pg_inherits as i
    join pg_catalog.pg_class as c on c.oid = i.inhrelid
    join pg_catalog.pg_class as p on p.oid = i.inhparent
    join pg_catalog.pg_namespace as n on n.oid = p.relnamespace
    where c.relispartition and p.relkind = 'p'
    order by c.oid
    """
)

_EXCLUSIONS = text(
    """
    select
        n.nspname, c.relname, k.conname,
        array(
            select pg_get_indexdef(k.conindid, place::int4, true)
            from generate_series(1, cardinality(k.conexclop)) as place
        ),
        array(
            select o.oprname::text from unnest(k.conexclop) with ordinality as used (id, place)
            join pg_catalog.pg_operator as o on o.oid = used.id order by used.place
        ),
        pg_get_constraintdef(k.oid)
    from pg_catalog.pg_constraint as k
    join pg_catalog.pg_class as c on c.oid = k.conrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'x' and k.conparentid = 0
    order by k.oid
    """
)

# A domain may be made of another one, whose checks hold, too.
_DOMAINS = text(
    """
    with recursive layers as (
        select oid as domain, oid, typbasetype, typtypmod, typnotnull from pg_catalog.pg_type where typtype = 'd'
        union all
        select layers.domain, t.oid, t.typbasetype, t.typtypmod, t.typnotnull
        from layers
        join pg_catalog.pg_type as t on t.oid = layers.typbasetype
        where t.typtype = 'd'
    )
    select
        n.nspname, d.typname,
        (
            select format_type(l.typbasetype, l.typtypmod)
            from layers as l join pg_catalog.pg_type as b on b.oid = l.typbasetype
            where l.domain = d.oid and b.typtype <> 'd'
        ),
        array(
            select pg_get_expr(k.conbin, 0)
            from layers as l join pg_catalog.pg_constraint as k on k.contypid = l.oid and k.contype = 'c'
            where l.domain = d.oid order by k.oid
        ),
        (select bool_or(l.typnotnull) from layers as l where l.domain = d.oid)
    from pg_catalog.pg_type as d
    join pg_catalog.pg_namespace as n on n.oid = d.typnamespace
    where d.typtype = 'd' and n.nspname <> 'information_schema'
    """
)
