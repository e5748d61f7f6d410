"""What makes a PostgreSQL database's own things anew, asked of its catalogue.

`pg_dump` says the same, but it is there only where somebody installed it, refuses a server newer than itself, and has to be
given the password another way; the catalogue writes most of the statements itself, and anybody may ask it. Left out are
rights and owners, comments, and what belongs to an extension or is ours. What we cannot write down is returned without a
statement, so that it is named.

The catalogue is asked with an empty search path, so every name stands with its schema.
"""

from collections.abc import Iterator
from typing import Any

import psycopg

from integrity.engines.definitions import Definition
from integrity.engines.inventory import BOOKS
from integrity.engines.target import Target
from integrity.engines.transaction import refusal


def read_definitions(target: Target) -> list[Definition]:
    """Return what makes everything in the database, in about the order in which it can be made.

    A function may need a table, and a table a function: whoever makes them begins again with what was refused.

    Raises:
        Unreachable: no connection.
        DatabaseError: the catalogue cannot be read.
    """
    with target.asking() as connection:
        try:
            return list(_read(connection))
        except psycopg.Error as error:
            raise refusal(target, error) from None


def _read(connection: "psycopg.Connection[Any]") -> Iterator[Definition]:
    for query in _QUERIES:
        for kind, schema, name, table, rests_on, statements in connection.execute(query.encode(), {"books": BOOKS}):
            yield Definition(kind, schema, name, tuple(filter(None, statements or ())), table, rests_on)


# Of everybody, not of the server, an extension or us. An object that an extension made depends on it by 'e'.
_OURS_NOT = """
    n.nspname <> all (array['information_schema', %(books)s]) and n.nspname !~ '^pg_'
    and not exists (
        select from pg_depend as d where d.classid = {catalogue}::regclass and d.objid = {oid} and d.deptype = 'e'
    )
"""


def _own(catalogue: str, oid: str) -> str:
    return _OURS_NOT.format(catalogue=f"'pg_catalog.{catalogue}'", oid=oid)


_SCHEMAS = f"""
    select 'schema', '', n.nspname, '', '', array[format('create schema if not exists %%I', n.nspname)]
    from pg_namespace as n
    where {_own("pg_namespace", "n.oid")}
    order by n.oid
"""

_EXTENSIONS = """
    select
        'extension', '', e.extname, '', '',
        array[
            case when n.nspname !~ '^pg_' then format('create schema if not exists %%I', n.nspname) end,
            format('create extension if not exists %%I schema %%I cascade', e.extname, n.nspname)
        ]
    from pg_extension as e
    join pg_namespace as n on n.oid = e.extnamespace
    where e.extname <> 'plpgsql'
    order by e.oid
"""

_TYPES = f"""
    select
        'type', n.nspname, t.typname, '', '',
        case t.typtype
            when 'e' then array[format(
                'create type %%I.%%I as enum (%%s)', n.nspname, t.typname,
                (select string_agg(quote_literal(v.enumlabel), ', ' order by v.enumsortorder)
                 from pg_enum as v where v.enumtypid = t.oid)
            )]
            when 'd' then array[format(
                'create domain %%I.%%I as %%s%%s%%s%%s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod),
                coalesce(' default ' || t.typdefault, ''),
                case when t.typnotnull then ' not null' else '' end,
                coalesce(
                    (select string_agg(format(' constraint %%I %%s', c.conname, pg_get_constraintdef(c.oid)), '')
                     from pg_constraint as c where c.contypid = t.oid and c.contype = 'c'), ''
                )
            )]
            when 'r' then (
                select array[format(
                    'create type %%I.%%I as range (subtype = %%s)', n.nspname, t.typname, format_type(r.rngsubtype, null)
                )]
                from pg_range as r where r.rngtypid = t.oid
            )
            when 'c' then array[format(
                'create type %%I.%%I as (%%s)', n.nspname, t.typname,
                (select string_agg(
                     format('%%I %%s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
                 from pg_attribute as a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)
            )]
        end
    from pg_type as t
    join pg_namespace as n on n.oid = t.typnamespace
    left join pg_class as r on r.oid = t.typrelid
    where {_own("pg_type", "t.oid")}
        and (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and r.relkind = 'c') or (t.typtype = 'b' and t.typelem = 0))
    order by t.oid
"""

# A sequence that an identity column made is made with its column.
_SEQUENCES = f"""
    select
        'sequence', n.nspname, c.relname, '', '',
        array[format(
            'create sequence %%I.%%I as %%s increment by %%s minvalue %%s maxvalue %%s start with %%s cache %%s%%s',
            n.nspname, c.relname, format_type(s.seqtypid, null), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
            case when s.seqcycle then ' cycle' else '' end
        )]
    from pg_sequence as s
    join pg_class as c on c.oid = s.seqrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where {_own("pg_class", "c.oid")}
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'i'
        )
    order by c.oid
"""

_FUNCTIONS = f"""
    select
        case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
        n.nspname, format('%%s(%%s)', p.proname, pg_get_function_identity_arguments(p.oid)), '', '',
        case when p.prokind <> 'a' then array[pg_get_functiondef(p.oid)] end
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where {_own("pg_proc", "p.oid")}
        and not exists (  -- those of a range type come with it
            select from pg_depend as d
            where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'i'
        )
    order by p.oid
"""

# Columns as a list; of a partition they are those of its parent.
_TABLES = f"""
    select
        'table', n.nspname, c.relname, c.relname, '',
        case when c.relkind <> 'f' then array[
            format(
                'create table %%I.%%I%%s%%s%%s', n.nspname, c.relname,
                case when c.relispartition then format(' partition of %%I.%%I %%s', pn.nspname, p.relname,
                    pg_get_expr(c.relpartbound, c.oid)) else format(' (%%s)', columns.list) end,
                case when p.oid is not null and not c.relispartition
                    then format(' inherits (%%I.%%I)', pn.nspname, p.relname) else '' end,
                case when c.relkind = 'p' then ' partition by ' || pg_get_partkeydef(c.oid) else '' end
            ),
            case when c.relrowsecurity
                then format('alter table %%I.%%I enable row level security', n.nspname, c.relname) end,
            case when c.relforcerowsecurity
                then format('alter table %%I.%%I force row level security', n.nspname, c.relname) end
        ] end
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    left join pg_inherits as i on i.inhrelid = c.oid and i.inhseqno = 1
    left join pg_class as p on p.oid = i.inhparent
    left join pg_namespace as pn on pn.oid = p.relnamespace
    left join lateral (
        select string_agg(
            format(
                E'\\n    %%I %%s%%s%%s%%s', a.attname, format_type(a.atttypid, a.atttypmod),
                case when a.attcollation <> t.typcollation and a.attcollation <> 0
                    then (select format(' collate %%I.%%I', cn.nspname, co.collname) from pg_collation as co
                          join pg_namespace as cn on cn.oid = co.collnamespace where co.oid = a.attcollation)
                    else '' end,
                case
                    when a.attgenerated <> '' then format(' generated always as (%%s) %%s', pg_get_expr(d.adbin, d.adrelid),
                        case a.attgenerated when 's' then 'stored' else 'virtual' end)
                    when a.attidentity <> '' then format(
                        ' generated %%s as identity (sequence name %%I.%%I start with %%s increment by %%s minvalue %%s'
                        ' maxvalue %%s cache %%s%%s)',
                        case a.attidentity when 'a' then 'always' else 'by default' end,
                        sn.nspname, sc.relname, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
                        case when s.seqcycle then ' cycle' else '' end)
                    when d.adbin is not null then ' default ' || pg_get_expr(d.adbin, d.adrelid)
                    else '' end,
                case when a.attnotnull then ' not null' else '' end
            ), ',' order by a.attnum
        ) as list
        from pg_attribute as a
        join pg_type as t on t.oid = a.atttypid
        left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        left join pg_depend as o on a.attidentity <> '' and o.refclassid = 'pg_catalog.pg_class'::regclass
            and o.refobjid = a.attrelid and o.refobjsubid = a.attnum
            and o.classid = 'pg_catalog.pg_class'::regclass and o.deptype = 'i'
        left join pg_sequence as s on s.seqrelid = o.objid
        left join pg_class as sc on sc.oid = s.seqrelid
        left join pg_namespace as sn on sn.oid = sc.relnamespace
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attislocal
    ) as columns on true
    where c.relkind in ('r', 'p', 'f') and {_own("pg_class", "c.oid")}
    order by c.oid
"""

_OWNED = f"""
    select
        'owner', n.nspname, c.relname, t.relname, '',
        array[format('alter sequence %%I.%%I owned by %%I.%%I.%%I', n.nspname, c.relname, tn.nspname, t.relname, a.attname)]
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_depend as d on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'a'
        and d.refclassid = 'pg_catalog.pg_class'::regclass
    join pg_class as t on t.oid = d.refobjid
    join pg_namespace as tn on tn.oid = t.relnamespace
    join pg_attribute as a on a.attrelid = t.oid and a.attnum = d.refobjsubid
    where c.relkind = 'S' and {_own("pg_class", "c.oid")}
    order by c.oid
"""

_CONSTRAINTS = f"""
    select
        'constraint', n.nspname, k.conname, c.relname,
        coalesce(
            (select format('%%s.%%s.%%s', fn.nspname, f.relname, u.relname) from pg_class as u
             join pg_class as f on f.oid = k.confrelid join pg_namespace as fn on fn.oid = f.relnamespace
             where u.oid = k.conindid and k.contype = 'f'), ''
        ),
        array[format(
            'alter table %%I.%%I add constraint %%I %%s', n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid)
        )]
    from pg_constraint as k
    join pg_class as c on c.oid = k.conrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where k.contype in ('p', 'u', 'c', 'x', 'f') and k.conparentid = 0 and k.conislocal
        and {_own("pg_class", "c.oid")}
    order by k.contype = 'f', k.oid
"""

_INDEXES = f"""
    select 'index', n.nspname, x.relname, c.relname, '', array[pg_get_indexdef(i.indexrelid)]
    from pg_index as i
    join pg_class as x on x.oid = i.indexrelid
    join pg_class as c on c.oid = i.indrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where not x.relispartition and c.relkind in ('r', 'p', 'm') and {_own("pg_class", "c.oid")}
        and not exists (
            select from pg_constraint as k
            where k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype in ('p', 'u', 'x')
        )
    order by i.indexrelid
"""

_VIEWS = f"""
    select
        case c.relkind when 'm' then 'materialized view' else 'view' end, n.nspname, c.relname, '', '',
        array[format(
            'create %%s %%I.%%I%%s as %%s%%s',
            case c.relkind when 'm' then 'materialized view' else 'view' end, n.nspname, c.relname,
            coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', ''),
            rtrim(pg_get_viewdef(c.oid), '; '),
            case c.relkind when 'm' then ' with no data' else '' end
        )]
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('v', 'm') and {_own("pg_class", "c.oid")}
    order by c.oid
"""

_TRIGGERS = f"""
    select
        'trigger', n.nspname, t.tgname, c.relname, '',
        array[
            pg_get_triggerdef(t.oid),
            case t.tgenabled
                when 'D' then format('alter table %%I.%%I disable trigger %%I', n.nspname, c.relname, t.tgname)
                when 'A' then format('alter table %%I.%%I enable always trigger %%I', n.nspname, c.relname, t.tgname)
                when 'R' then format('alter table %%I.%%I enable replica trigger %%I', n.nspname, c.relname, t.tgname)
            end
        ]
    from pg_trigger as t
    join pg_class as c on c.oid = t.tgrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where not t.tgisinternal and t.tgparentid = 0 and {_own("pg_class", "c.oid")}
    order by t.oid
"""

_RULES = f"""
    select 'rule', n.nspname, r.rulename, c.relname, '', array[pg_get_ruledef(r.oid)]
    from pg_rewrite as r
    join pg_class as c on c.oid = r.ev_class
    join pg_namespace as n on n.oid = c.relnamespace
    where r.rulename <> '_RETURN' and {_own("pg_class", "c.oid")}
    order by r.oid
"""

_POLICIES = f"""
    select
        'policy', n.nspname, p.polname, c.relname, '',
        array[format(
            'create policy %%I on %%I.%%I as %%s for %%s to %%s%%s%%s', p.polname, n.nspname, c.relname,
            case when p.polpermissive then 'permissive' else 'restrictive' end,
            case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
                else 'all' end,
            case when p.polroles = array[0::oid] then 'public'
                else (select string_agg(quote_ident(g.rolname), ', ') from pg_roles as g where g.oid = any (p.polroles))
                end,
            coalesce(' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', ''),
            coalesce(' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
        )]
    from pg_policy as p
    join pg_class as c on c.oid = p.polrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where {_own("pg_class", "c.oid")}
    order by p.oid
"""

# What holds for every session of the database: a default isolation level, a search path.
_SETTINGS = """
    select
        'setting', '', split_part(s.one, '=', 1), '', '',
        array[format(
            'alter database %%I set %%I to %%s', current_database(), split_part(s.one, '=', 1),
            case when split_part(s.one, '=', 1) in ('search_path', 'DateStyle') then substr(s.one, strpos(s.one, '=') + 1)
                else quote_literal(substr(s.one, strpos(s.one, '=') + 1)) end
        )]
    from pg_db_role_setting as r
    cross join lateral unnest(r.setconfig) as s (one)
    where r.setrole = 0 and r.setdatabase = (select oid from pg_database where datname = current_database())
"""

# What we cannot write down; each is named.
_OTHERS = f"""
    select 'operator', n.nspname, o.oprname, '', '', null::text[]
    from pg_operator as o join pg_namespace as n on n.oid = o.oprnamespace where {_own("pg_operator", "o.oid")}
    union all
    select 'collation', n.nspname, o.collname, '', '', null
    from pg_collation as o join pg_namespace as n on n.oid = o.collnamespace where {_own("pg_collation", "o.oid")}
    union all
    select 'text search configuration', n.nspname, o.cfgname, '', '', null
    from pg_ts_config as o join pg_namespace as n on n.oid = o.cfgnamespace where {_own("pg_ts_config", "o.oid")}
    union all
    select 'event trigger', '', o.evtname, '', '', null from pg_event_trigger as o
    union all
    select 'cast', '', format('%%s as %%s', format_type(o.castsource, null), format_type(o.casttarget, null)), '', '', null
    from pg_cast as o
    where o.oid >= 16384 and not exists (
        select from pg_depend as d where d.classid = 'pg_catalog.pg_cast'::regclass and d.objid = o.oid
            and d.deptype in ('e', 'i')
    )
"""

_QUERIES = (
    _SCHEMAS,
    _EXTENSIONS,
    _TYPES,
    _SEQUENCES,
    _FUNCTIONS,
    _TABLES,
    _OWNED,
    _CONSTRAINTS,
    _INDEXES,
    _VIEWS,
    _TRIGGERS,
    _RULES,
    _POLICIES,
    _SETTINGS,
    _OTHERS,
)
