"""A copy of a database made of its definitions and filled over a connection.

First tables and what they are made of, then rows, on one snapshot, then constraints, indexes and triggers, so that nothing
fires and nothing is checked twice. Rows travel as text: in binary, arrays and composites of the database's own types name
these by numbers, which differ in the copy.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import errors, sql

from integrity.engines.definitions import Definition
from integrity.engines.inventory import BOOKS
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Advanced, Job
from integrity.numbers import counted
from integrity.race.play.postgresql.definitions import NEEDED, make_all
from integrity.race.rows.postgresql.tables import SCHEMA

_APPLICATION = "integrity race copy"
_SPELLING = {**OWN, "lc_monetary": "C", "xmloption": "content", "row_security": "off"}
_MAKING = {**_SPELLING, "check_function_bodies": "off", "synchronous_commit": "off"}
_LATER = frozenset({"constraint", "index", "trigger", "rule", "policy"})
"""What is made when the rows are there."""

Connection = psycopg.Connection[Any]


def copy_by_rows(like: Target, target: Target, *, has_rows: bool) -> Job[list[str]]:
    """Fill an empty database; return what it lacks, each with the reason. Yields how far it is.

    Raises:
        UsageError: something cannot be made without which rows are others than there.
        psycopg.Error: the server refuses it.
    """
    definitions = like.engine.read_definitions(like)
    with closing(target.connect(application_name=_APPLICATION, settings=_MAKING)) as copy:
        parts = [part for each in definitions if each.statements and each.schema != SCHEMA for part in _in_two(each)]
        reasons = _make(like, copy, [each for each in parts if each.kind not in _LATER])
        missing: list[str] = []
        if has_rows:
            missing += yield from _copy_rows(like, copy)
        reasons |= _make(like, copy, [each for each in parts if each.kind in _LATER])
        missing += [f"{each}: {reason}" for each, reason in reasons.items()]
        missing += [f"{each}: no statement is known for it" for each in definitions if not each.statements]
        missing += _name_others(like)
        missing += _copy_rights(like, copy)
        if has_rows:
            missing += _refresh(copy, definitions)
        copy.execute("analyze")
    return missing


def _in_two(each: Definition) -> list[Definition]:
    """Return a table, and apart what hides rows of it: that would stand in the way of its rows."""
    if each.kind != "table" or len(each.statements) == 1:
        return [each]
    return [replace(each, statements=each.statements[:1]), replace(each, kind="policy", statements=each.statements[1:])]


def _make(like: Target, copy: Connection, definitions: Sequence[Definition]) -> dict[Definition, str]:
    """Make things; return those that could not be made, and that rows are the same without."""
    wanted = [(each, ";\n".join(each.statements)) for each in definitions if each.kind != "setting"]  # copy.py gives these
    _, reasons = make_all(copy, wanted)
    for each, reason in reasons.items():
        if each.kind in NEEDED:
            raise UsageError(
                f"{like}: its {each} cannot be made in a copy: {reason}",
                hint="Let its user make it, or race on a test database that you declare.",
            )
    return reasons


def _copy_rows(like: Target, copy: Connection) -> Job[list[str]]:
    """Copy all rows and the states of sequences, on one snapshot; return what could not be read."""
    missing = []
    with closing(like.connect(application_name=_APPLICATION, settings=_SPELLING)) as source:
        source.execute("begin isolation level repeatable read, read only")
        tables = source.execute(_TABLES, {"ours": [BOOKS, SCHEMA]}).fetchall()
        for number, (schema, table, columns, is_readable) in enumerate(tables):
            yield Advanced("copying", f"{schema}.{table}", number, len(tables))
            if not is_readable:
                missing.append(f"the rows of {schema}.{table}: its user may not read them")
            elif columns:
                _copy_table(source, copy, sql.Identifier(schema, table), columns)
        sequences = source.execute(_SEQUENCES, {"ours": [BOOKS, SCHEMA]}).fetchall()
        for schema, sequence, is_readable in sequences:
            name = sql.Identifier(schema, sequence)
            if not is_readable:
                missing.append(f"the state of sequence {schema}.{sequence}: its user may not read it")
                continue
            (state,) = source.execute(sql.SQL("select last_value, is_called from {}").format(name)).fetchall()
            copy.execute("select setval(%s::regclass, %s, %s)", (name.as_string(copy), *state))
        (large,) = source.execute("select count(*) from pg_catalog.pg_largeobject_metadata").fetchall()[0]
        if large:
            missing.append(f"{counted(large, 'large object')}: only a copy by the server has them")
        yield Advanced("copying", "", len(tables), len(tables))
    return missing


def _copy_table(source: Connection, copy: Connection, table: sql.Identifier, columns: Sequence[str]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    read = sql.SQL("copy (select {} from only {}) to stdout").format(names, table)
    write = sql.SQL("copy {} ({}) from stdin").format(table, names)
    with source.cursor().copy(read) as rows, copy.cursor().copy(write) as place:
        for block in rows:
            place.write(block)


def _name_others(like: Target) -> list[str]:
    """Return what stands in a database and is no part of its schema, of which definitions say nothing."""
    with closing(like.connect(application_name=_APPLICATION, settings=OWN)) as source:
        return [f"{kind} {name}: it is not copied" for kind, name in source.execute(_UNSAID)]


def _copy_rights(like: Target, copy: Connection) -> list[str]:
    """Give things the owners and rights that they have there; return what could not be given."""
    with closing(like.connect(application_name=_APPLICATION, settings=OWN)) as source:
        rights = [text for (text,) in source.execute(_RIGHTS, {"ours": [BOOKS, SCHEMA]})]
        owners = [text for (text,) in source.execute(_OWNERS, {"ours": [BOOKS, SCHEMA]})]
    refused = sum(not _is_done(copy, text) for text in rights)
    kept = sum(not _is_done(copy, text) for text in owners)
    missing = [f"{counted(refused, 'right')} of other roles: its user may not grant them"] if refused else []
    if kept:
        missing.append(f"the owner of {counted(kept, 'object')}: here its user owns them, whom policies then let see all")
    return missing


def _refresh(copy: Connection, definitions: Sequence[Definition]) -> list[str]:
    """Fill materialized views; one may be made of another."""
    views = [each for each in definitions if each.kind == "materialized view"]
    wanted = [
        (
            each,
            sql.SQL("refresh materialized view {}").format(sql.Identifier(each.schema, each.name)).as_string(copy),
        )
        for each in views
    ]
    _, reasons = make_all(copy, wanted)
    return [f"the rows of {each}: {reason}" for each, reason in reasons.items()]


def _is_done(copy: Connection, statement: str) -> bool:
    try:
        copy.execute(statement.encode())
    except (errors.InsufficientPrivilege, errors.UndefinedObject, errors.UndefinedTable, errors.UndefinedFunction):
        return False
    return True


_OTHERS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and n.nspname <> all (%(ours)s)"
_NOT_OF_EXTENSIONS = """
    not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = '{0}'::regclass and d.objid = {1} and d.deptype in ('e', 'i')
    )
"""

_TABLES = f"""
    select
        n.nspname, c.relname,
        array(
            select a.attname::text from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
            order by a.attnum
        ),
        has_table_privilege(c.oid, 'select') and not row_security_active(c.oid)
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind = 'r' and {_OTHERS}
        and {_NOT_OF_EXTENSIONS.format("pg_catalog.pg_class", "c.oid")}
    order by n.nspname, c.relname
"""

_SEQUENCES = f"""
    select n.nspname, c.relname, has_sequence_privilege(c.oid, 'select')
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind = 'S' and {_OTHERS}
    order by n.nspname, c.relname
"""

_UNSAID = """
    select 'foreign server', srvname from pg_catalog.pg_foreign_server
    union all
    select 'publication', pubname from pg_catalog.pg_publication
    union all
    select 'subscription', subname from pg_catalog.pg_subscription
    where subdbid = (select oid from pg_catalog.pg_database where datname = current_database())
    union all
    select 'language', l.lanname from pg_catalog.pg_language as l
    where l.oid >= 16384 and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_language'::regclass and d.objid = l.oid and d.deptype = 'e'
    )
    order by 1, 2
"""

_THINGS = f"""
    select
        case c.relkind when 'S' then 'sequence' else 'table' end as kind,
        format('%%I.%%I', n.nspname, c.relname) as name, c.relowner as owner, c.relacl as rights
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'S') and {_OTHERS}
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('e', 'i', 'a')
                and (c.relkind = 'S' or d.deptype = 'e')
        )
    union all
    select 'schema', format('%%I', n.nspname), n.nspowner, n.nspacl
    from pg_catalog.pg_namespace as n
    where {_OTHERS}
    union all
    select
        'routine', format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
        p.proowner, p.proacl
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    where {_OTHERS} and {_NOT_OF_EXTENSIONS.format("pg_catalog.pg_proc", "p.oid")}
"""

# What is anybody's by default is taken back first: where rights are written down, it is among them, or nobody's.
_RIGHTS = f"""
    with things as ({_THINGS}), rights as (
        select t.kind, t.name, t.owner, '' as columns, a.*
        from things as t cross join lateral aclexplode(t.rights) as a
        union all
        select 'table', format('%%I.%%I', n.nspname, c.relname), c.relowner, format(' (%%I)', l.attname), a.*
        from pg_catalog.pg_attribute as l
        join pg_catalog.pg_class as c on c.oid = l.attrelid
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        cross join lateral aclexplode(l.attacl) as a
        where {_OTHERS}
    )
    select format('revoke all on %%s %%s from public', t.kind, t.name)
    from things as t
    where t.rights is not null
    union all
    select format(
        'grant %%s%%s on %%s %%s to %%s%%s', privilege_type, columns, kind, name,
        case when grantee = 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
        case when is_grantable then ' with grant option' else '' end
    )
    from rights
    where grantee <> owner
"""

_OWNERS = f"""
    select format('alter %%s %%s owner to %%I', t.kind, t.name, pg_get_userbyid(t.owner))
    from ({_THINGS}) as t
    where pg_get_userbyid(t.owner) <> current_user
"""
