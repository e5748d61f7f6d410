"""What is taken off tables while they are filled, and put back as it was: foreign keys, indexes that no constraint rests
on, and triggers, which are told not to fire.

All of it in the transaction that fills them: nobody sees a table without its foreign keys, and putting one back has the
server check every row. Its own text says how each is made (PostgreSQL 13 and later).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from integrity.seeds.schema.tables import SchemaTable

if TYPE_CHECKING:
    from typing import Any

    import psycopg

INDEXED_LEAST = 2_000
"""Rows from which on making an index anew is faster than keeping it up."""


@dataclass(frozen=True, slots=True)
class Loosened:
    """What was taken off, as the statements that put it back.

    Args:
        triggers: how many do not fire meanwhile.
    """

    statements: Sequence[str]
    triggers: int


def loosen(connection: "psycopg.Connection[Any]", tables: Sequence[SchemaTable], sizes: Sequence[int]) -> Loosened:
    """Take off what would be asked of each row alone."""
    oids = [table.oid for table in tables]
    large = [table.oid for table, size in zip(tables, sizes, strict=True) if size >= INDEXED_LEAST]
    triggers = connection.execute(_TRIGGERS, {"oids": oids}).fetchall()
    for off, _ in triggers:
        connection.execute(_text(off))
    # All are asked for before the first is dropped: an index rests on a table, a foreign key on an index.
    indexes = connection.execute(_INDEXES, {"oids": oids, "large": large}).fetchall()
    foreign_keys = connection.execute(_FOREIGN_KEYS, {"oids": oids}).fetchall()
    for drop, *_ in (*foreign_keys, *indexes):
        connection.execute(_text(drop))
    again = [make for _, *makes in (*indexes, *foreign_keys) for make in makes if make]
    return Loosened([*again, *(on for _, on in triggers)], len(triggers))


def put_back(connection: "psycopg.Connection[Any]", loosened: Loosened) -> None:
    """Put everything back; the server checks every row against it."""
    for statement in loosened.statements:
        connection.execute(_text(statement))


def _text(text: str) -> sql.SQL:
    return sql.SQL(text)


# Own triggers only: those of foreign keys are the server's. A, O and R say when one fires.
_TRIGGERS = """
select
    format('alter table %%s disable trigger %%I', tgrelid::regclass, tgname),
    format(
        'alter table %%s enable %%s trigger %%I',
        tgrelid::regclass, case tgenabled when 'A' then 'always' else '' end, tgname
    )
from pg_trigger
where tgrelid = any (%(oids)s) and not tgisinternal and tgenabled in ('O', 'A') and tgparentid = 0
order by tgrelid, tgname
"""

# Of a plain table, and none that anything else rests on or that says more than its definition does.
_INDEXES = """
select
    format('drop index %%s', indexrelid::regclass),
    pg_get_indexdef(indexrelid),
    'comment on index ' || indexrelid::regclass || ' is ' || quote_literal(obj_description(indexrelid, 'pg_class'))
from pg_index
join pg_class as tables on tables.oid = indrelid
where indrelid = any (%(large)s) and relkind = 'r' and indisvalid and not indisclustered and not indisreplident
    and not indisprimary
    and not exists (select from pg_constraint where conindid = indexrelid and contype <> 'f')
    and not exists (
        select from pg_depend
        where refclassid = 'pg_class'::regclass and refobjid = indexrelid
            and not (classid = 'pg_constraint'::regclass and objid = any (
                select oid from pg_constraint where contype = 'f' and conrelid = any (%(oids)s)
            ))
    )
    and not exists (select from pg_attribute where attrelid = indexrelid and attstattarget >= 0)
order by indexrelid
"""

_FOREIGN_KEYS = """
select
    format('alter table %%s drop constraint %%I', conrelid::regclass, conname),
    format('alter table %%s add constraint %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid)),
    'comment on constraint ' || quote_ident(conname) || ' on ' || conrelid::regclass || ' is '
        || quote_literal(obj_description(oid, 'pg_constraint'))
from pg_constraint
where contype = 'f' and conrelid = any (%(oids)s) and conparentid = 0
order by oid
"""
