"""What a server's catalogue says of the tables of some schemas, in a dozen questions however many tables there are."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from psycopg import sql

from integrity.errors import UsageError, quote
from integrity.seeds.schema.tables import Check, Column, Exclusion, Reference, SchemaTable, Type, Unique
from integrity.sql.name import quoted
from integrity.suggestion import suggest

if TYPE_CHECKING:
    import psycopg

PARTITIONS = "partitions"


def read_tables(connection: "psycopg.Connection[Any]", schemas: Sequence[str]) -> dict[str, SchemaTable]:
    """Return the tables of the schemas by their full names; partitions are their parents'.

    The connection's search_path is pg_catalog, so that every expression names its schemas.

    Raises:
        UsageError: there is no such schema, or no table in it.
    """
    known = [str(row[0]) for row in connection.execute(_SCHEMAS)]
    for schema in schemas:
        if schema not in known:
            raise UsageError(
                f"there is no schema {quote(schema)} in this database",
                hint=suggest(schema, known, otherwise=f"There are: {', '.join(known) or 'none'}."),
            )
    asked = {"schemas": list(schemas)}
    rows = connection.execute(_TABLES, asked).fetchall()
    if not rows:
        raise UsageError(f"no table stands in {' and '.join(schemas)}", hint="Make the tables first: a seed fills them.")
    types = _read_types(connection)
    columns: dict[int, dict[int, Column]] = defaultdict(dict)
    for oid, number, name, type_id, modifier, is_required, default, generated, sequence in connection.execute(
        _COLUMNS, asked
    ):
        kind, domains, is_domain_required = types.find(type_id, modifier)
        columns[oid][number] = Column(
            name,
            kind,
            is_required or is_domain_required,
            default or "",
            bool(generated),
            sequence or "",
            tuple(_about_column(text, name) for text in domains),
        )
    names = {oid: f"{schema}.{name}" for oid, schema, name, *_ in rows}
    checks: dict[int, list[Check]] = defaultdict(list)
    uniques: dict[int, list[Unique]] = defaultdict(list)
    exclusions: dict[int, list[Exclusion]] = defaultdict(list)
    references: dict[int, list[Reference]] = defaultdict(list)
    outside: dict[int, list[Reference]] = defaultdict(list)
    for oid, name, numbers, text in connection.execute(_CHECKS, asked):
        checks[oid].append(Check(name, text, tuple(columns[oid][number].name for number in numbers or () if number > 0)))
    open_oids = {oid for oid, *_, is_partitioned, _, _ in rows if not is_partitioned}
    for oid, leaf_text in connection.execute(_LEAVES, asked):
        open_oids.add(oid)
        named = tuple(column.name for column in columns[oid].values() if _mentions(leaf_text, column.name))
        checks[oid].append(Check(PARTITIONS, leaf_text, named))
    for oid, name, numbers, others, parent, parent_name, text, match in connection.execute(_REFERENCES, asked):
        own = tuple(columns[oid][number].name for number in numbers)
        if parent not in names:
            outside[oid].append(Reference(name, own, parent_name, (), text))
            continue
        referred = tuple(columns[parent][number].name for number in others)
        references[oid].append(Reference(name, own, names[parent], referred, text, match == "f"))
    for oid, name, numbers, texts, predicate, is_primary, nulls_alike in connection.execute(_UNIQUES, asked):
        own_columns = columns[oid].values()
        about: list[str] = []
        for number, text in zip(numbers, texts, strict=True):
            about += [each.name for each in own_columns if _mentions(text, each.name)] if number == 0 else []
            about += [columns[oid][number].name] if number > 0 else []
        unique = tuple(dict.fromkeys(about))
        uniques[oid].append(Unique(name, unique, predicate or "", not all(numbers), not nulls_alike, is_primary))
    for oid, name, texts, operators, predicate in connection.execute(_EXCLUSIONS, asked):
        by_name = {column.name for column in columns[oid].values()}
        parts = tuple(
            (text, operator, tuple(each for each in by_name if _mentions(text, each)))
            for text, operator in zip(texts, operators, strict=True)
        )
        exclusions[oid].append(Exclusion(name, parts, predicate or ""))
    tables = [
        SchemaTable(
            schema,
            name,
            oid,
            {column.name: column for _, column in sorted(columns[oid].items())},
            checks[oid],
            uniques[oid],
            references[oid],
            exclusions[oid],
            is_owned,
            _is_filled(connection, schema, name) if may_read else False,
            oid not in open_oids,
            outside[oid],
        )
        for oid, schema, name, is_partitioned, is_owned, may_read in rows
    ]
    return {table.full_name: table for table in tables}


def read_others(connection: "psycopg.Connection[Any]", schemas: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return what has a table's name and is none that is filled, with its schema and without: what it is, what to do."""
    found: dict[str, tuple[str, str]] = {}
    for schema, name, kind, parent in connection.execute(_OTHERS):
        if parent:
            said = f"a partition of {parent}", f"Its rows come with those: --rows {parent.rpartition('.')[2]}=N"
        elif kind in ("r", "p"):
            said = f"a table of the schema {schema}", f"Add --schema {schema}"
        else:
            said = _KINDS.get(kind, "no table"), "Fill the tables that it reads." if kind in "vm" else "Name a table."
        if (kind in ("r", "p") and not parent) != (schema in schemas):
            found.setdefault(name, said)
            found[f"{schema}.{name}"] = said
    return found


_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence", "i": "an index"}


def _is_filled(connection: "psycopg.Connection[Any]", schema: str, name: str) -> bool:
    query = sql.SQL("select exists (select from {})").format(sql.Identifier(schema, name))
    return bool(connection.execute(query).fetchall()[0][0])


def _mentions(text: str, name: str) -> bool:
    return re.search(rf'(?<![\w"]){re.escape(name)}(?![\w"])|"{re.escape(name)}"', text) is not None


def _about_column(text: str, name: str) -> str:
    """Return a domain's check as one of a column: VALUE is that column, but not within a text."""
    return re.sub(r"'(?:[^']|'')*'|\bVALUE\b", lambda found: quoted(name) if found[0] == "VALUE" else found[0], text)


class _Types:
    """All types of the database that a column may have."""

    def __init__(self, rows: Sequence[Any], checks: Mapping[int, Sequence[str]], labels: Mapping[int, tuple[str, ...]]):
        self._rows = {row[0]: row for row in rows}
        self._checks, self._labels = checks, labels

    def find(self, oid: int, modifier: int) -> tuple[Type, tuple[str, ...], bool]:
        """Return a type, the checks of its domains, and whether one of them takes no nulls."""
        checks: list[str] = []
        is_required = False
        while self._rows[oid][2] == "d":
            _, _, _, _, base, base_modifier, not_null, *_ = self._rows[oid]
            checks += self._checks.get(oid, ())
            is_required, oid = is_required or not_null, base
            modifier = base_modifier if base_modifier >= 0 else modifier
        _, name, _, category, _, _, _, element, send, spelled, schema = self._rows[oid]
        is_array = category == "A" and element in self._rows
        labels = self._labels.get(element if is_array else oid, ())
        kind = Type(
            _with_modifier(spelled, name, modifier),
            self._rows[element][1] if is_array else name,
            category,
            send,
            modifier,
            labels,
            is_array,
            schema == "pg_catalog",
        )
        return kind, tuple(checks), is_required


def _with_modifier(spelled: str, name: str, modifier: int) -> str:
    """Return a type's name with its length or precision, where a cast would take another without it."""
    if modifier < 0:
        return spelled
    if name in ("varchar", "bpchar"):
        return f"{spelled}({modifier - 4})"
    if name == "numeric":
        scale = (((modifier - 4) & 0x7FF) ^ 1024) - 1024
        return f"numeric({(modifier - 4) >> 16},{scale})"
    return f"{spelled}({modifier})" if name in ("bit", "varbit") else spelled


def _read_types(connection: "psycopg.Connection[Any]") -> _Types:
    checks: dict[int, list[str]] = defaultdict(list)
    for oid, text in connection.execute(_DOMAIN_CHECKS):
        checks[oid].append(text)
    labels = {oid: tuple(found) for oid, found in connection.execute(_LABELS)}
    return _Types(connection.execute(_TYPES).fetchall(), checks, labels)


_SCHEMAS = """
select nspname from pg_namespace
where nspname not like 'pg\\_%' and nspname not in ('information_schema', 'integrity')
order by nspname
"""

_TABLES = """
select
    tables.oid::int8, nspname, relname, relkind = 'p', pg_has_role(relowner, 'usage'),
    has_schema_privilege(relnamespace, 'usage') and has_table_privilege(tables.oid, 'select')
from pg_class as tables
join pg_namespace on pg_namespace.oid = relnamespace
where nspname = any (%(schemas)s) and relkind in ('r', 'p') and not relispartition
    and not exists (
        select from pg_depend
        where classid = 'pg_class'::regclass and objid = tables.oid and deptype = 'e'
    )
order by nspname, relname
"""

_OTHERS = """
select nspname::text, relname::text, relkind::text, case when relispartition then (
    select relnamespace::regnamespace::text || '.' || parents.relname
    from pg_class as parents where parents.oid = pg_partition_root(tables.oid)
) end
from pg_class as tables
join pg_namespace on pg_namespace.oid = relnamespace
where nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'integrity')
    and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
order by nspname, relname
"""

_COLUMNS = """
select
    attrelid::int8, attnum, attname, atttypid::int8, atttypmod, attnotnull,
    pg_get_expr(adbin, adrelid), nullif(attgenerated, ''),
    pg_get_serial_sequence(quote_ident(nspname) || '.' || quote_ident(relname), attname)
from pg_attribute
join pg_class on pg_class.oid = attrelid
join pg_namespace on pg_namespace.oid = relnamespace
left join pg_attrdef on adrelid = attrelid and adnum = attnum
where nspname = any (%(schemas)s) and relkind in ('r', 'p') and not relispartition and attnum > 0 and not attisdropped
"""

_CHECKS = """
select conrelid::int8, conname, conkey, pg_get_expr(conbin, conrelid)
from pg_constraint
join pg_namespace on pg_namespace.oid = connamespace
where nspname = any (%(schemas)s) and contype = 'c' and conrelid <> 0 and conparentid = 0
    and exists (select from pg_class where pg_class.oid = conrelid and relkind in ('r', 'p') and not relispartition)
order by conrelid, conname
"""

_LEAVES = """
select roots.oid::int8, string_agg('(' || coalesce(pg_get_partition_constraintdef(relid), 'true') || ')', ' or ')
from pg_class as roots
join pg_namespace on pg_namespace.oid = relnamespace
cross join pg_partition_tree(roots.oid) as tree
where nspname = any (%(schemas)s) and roots.relkind = 'p' and not roots.relispartition and isleaf and relid <> roots.oid
group by roots.oid
"""

_REFERENCES = """
select
    conrelid::int8, conname, conkey, confkey, confrelid::int8, confrelid::regclass::text,
    pg_get_constraintdef(pg_constraint.oid), confmatchtype
from pg_constraint
join pg_class as tables on tables.oid = conrelid
join pg_namespace on pg_namespace.oid = relnamespace
where nspname = any (%(schemas)s) and contype = 'f' and conparentid = 0 and not relispartition
order by conrelid, conname
"""

_UNIQUES = """
select
    indrelid::int8, relname, (indkey::int2[])[0:indnkeyatts - 1],
    array(
        select pg_get_indexdef(indexrelid, number::int, true)
        from generate_series(1, indnkeyatts) as number order by number
    ),
    pg_get_expr(indpred, indrelid), indisprimary, coalesce((to_jsonb(pg_index) ->> 'indnullsnotdistinct')::bool, false)
from pg_index
join pg_class on pg_class.oid = indexrelid
join pg_namespace on pg_namespace.oid = relnamespace
where nspname = any (%(schemas)s) and indisunique and not pg_class.relispartition
    and exists (select from pg_class as owners where owners.oid = indrelid and relkind in ('r', 'p') and not relispartition)
order by indrelid, not indisprimary, relname
"""

_EXCLUSIONS = """
select
    conrelid::int8, conname,
    array(
        select pg_get_indexdef(conindid, number::int, true)
        from generate_series(1, cardinality(conexclop)) as number order by number
    ),
    array(
        select oprname::text from unnest(conexclop) with ordinality as given (id, number)
        join pg_operator on pg_operator.oid = id order by number
    ),
    pg_get_expr(indpred, indrelid)
from pg_constraint
join pg_index on indexrelid = conindid
join pg_namespace on pg_namespace.oid = connamespace
where nspname = any (%(schemas)s) and contype = 'x'
order by conrelid, conname
"""

_TYPES = """
select
    pg_type.oid::int8, typname, typtype, typcategory, typbasetype::int8, typtypmod, typnotnull, typelem::int8,
    typsend::regproc::text, format_type(pg_type.oid, null), nspname
from pg_type
join pg_namespace on pg_namespace.oid = typnamespace
"""

_DOMAIN_CHECKS = "select contypid::int8, pg_get_expr(conbin, 0) from pg_constraint where contypid <> 0 and contype = 'c'"

_LABELS = """
select enumtypid::int8, array_agg(enumlabel::text order by enumsortorder) from pg_enum group by enumtypid
"""
