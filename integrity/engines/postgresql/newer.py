"""What a PostgreSQL database got since a copy of it was made, whatever kind of thing it is.

A new object gets the server's next oid, a copy of a database is one, and the objects in it keep theirs. So what has a
larger oid than the copy came after it; what was altered since keeps its oid and is not told of. (After four billion oids
the server begins again; then this names too little.) What belongs to something that is new itself goes unmentioned: the
functions of an extension, the row type of a table. So do indexes and constraints: a run with a bug and a bulk load take
some away for a while, and what comes back is new.
"""

from typing import Any

import psycopg
from psycopg import sql

from integrity.engines.copies import Kept, Newer
from integrity.engines.target import Target
from integrity.engines.transaction import refusal


def find_newer(target: Target, copy: Kept) -> list[Newer]:
    """Return what the database holds and the copy does not; schemas first.

    Raises:
        DatabaseError: no connection, or the catalogue cannot be read.
    """
    with target.asking() as connection:
        try:
            rows: list[Any] = connection.execute(_NEWER, {"copy": copy.place}).fetchall()
        except psycopg.Error as error:
            raise refusal(target, error) from None
    return [Newer(*row) for row in rows]


_CATALOGUES = (
    "pg_namespace",
    "pg_extension",
    "pg_event_trigger",
    "pg_class",
    "pg_type",
    "pg_proc",
    "pg_operator",
    "pg_opclass",
    "pg_opfamily",
    "pg_am",
    "pg_cast",
    "pg_collation",
    "pg_conversion",
    "pg_language",
    "pg_transform",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_publication",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_statistic_ext",
    "pg_trigger",
    "pg_rewrite",
    "pg_policy",
    "pg_default_acl",
)

_OBJECTS = sql.SQL(" union all ").join(
    sql.SQL("select {}::pg_catalog.regclass::oid as class, oid from {}").format(
        sql.Literal(f"pg_catalog.{catalogue}"), sql.Identifier("pg_catalog", catalogue)
    )
    for catalogue in _CATALOGUES
) + sql.SQL(
    # The catalogue of mappings may hold passwords, and is the superuser's to read; of large objects there may be millions.
    """
    union all select 'pg_catalog.pg_user_mapping'::pg_catalog.regclass::oid, umid from pg_catalog.pg_user_mappings
    union all (
        select 'pg_catalog.pg_largeobject'::pg_catalog.regclass::oid, large.oid
        from pg_catalog.pg_largeobject_metadata as large
        where large.oid > (select oid from pg_catalog.pg_database where datname = %(copy)s)
        order by large.oid
        limit 100
    )
    """
)

_NEWER = sql.SQL(
    """
    with
    newer as materialized (
        select objects.class, objects.oid
        from ({objects}) as objects
        where objects.oid > (select oid from pg_catalog.pg_database where datname = %(copy)s)
    )
    select described.type, described.identity, coalesce(described.schema, ''), coalesce(schemas.nspname, ''),
        coalesce(relations.relname, '')
    from newer as objects
    left join pg_catalog.pg_class as relations
        on objects.class = 'pg_catalog.pg_class'::pg_catalog.regclass and relations.oid = objects.oid
    left join pg_catalog.pg_namespace as schemas
        on schemas.oid = relations.relnamespace
        or objects.class = 'pg_catalog.pg_namespace'::pg_catalog.regclass and schemas.oid = objects.oid
    left join pg_catalog.pg_trigger as triggers
        on objects.class = 'pg_catalog.pg_trigger'::pg_catalog.regclass and triggers.oid = objects.oid
    left join pg_catalog.pg_rewrite as rules
        on objects.class = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and rules.oid = objects.oid
    cross join lateral pg_catalog.pg_identify_object(objects.class, objects.oid, 0) as described
    where coalesce(relations.relkind not in ('i', 'I', 't') and relations.relpersistence <> 't', true)
        and coalesce(not triggers.tgisinternal, true)
        and coalesce(rules.rulename <> '_RETURN', true)
        and coalesce(described.schema, described.identity) !~ '^"?pg_(temp|toast)'
        and not exists (
            select
            from pg_catalog.pg_depend as parts
            join newer as whole on whole.class = parts.refclassid and whole.oid = parts.refobjid
            where parts.classid = objects.class
                and parts.objid = objects.oid
                and parts.objsubid = 0
                and (
                    parts.deptype in ('e', 'i', 'P', 'S')
                    or parts.deptype = 'a' and parts.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                )
        )
    order by described.type <> 'schema', described.type, described.identity
    """
).format(objects=_OBJECTS)
