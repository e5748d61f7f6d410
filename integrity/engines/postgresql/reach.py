"""Reach: which queries could do more than read.

A read-only transaction stops writes to tables. It does not stop a function that ends another session, keeps a replication
slot, writes through a second connection or reads a file. So every function that a query could call is asked of the server:
each name before a parenthesis, each operator, each cast, in the search path that holds for the query, all overloads; and
what those call in turn, through views, functions in SQL, aggregates, operators, defaults of arguments, checks of domains.
What cannot be read (PL/pgSQL, C) counts by what it declares: `volatile`, which is what a function is unless it says
otherwise, may do anything. PostgreSQL's own are in lists that were reviewed (harmless_functions.py).

A cast of one's own can be called without being named: by an argument, a concatenation, by `to_json`. So it is among what a
query calls where its type could be in play: the query names it, or a table, a function or an operator that has it in them.

The names of all queries are asked together, so an audit pays two questions whatever its size; more only where a view or a
function in SQL has to be read.

Not looked at: input and output functions of types and operator classes, which only a superuser can make; what a foreign
table does on its own server; policies of row security, which do not run in an audit (`row_security` is off); defaults and
generated columns, which do not run in a select.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from integrity.engines.postgresql.harmless_functions import (
    CONVERTERS,
    HARMLESS_OF_EXTENSIONS,
    REFUSED_OF_EXTENSIONS,
    STABLE_AND_NOT_HARMLESS,
    VOLATILE_AND_HARMLESS,
)
from integrity.engines.postgresql.tokens import Kind, Mention, Use, mentions_in, tokenize
from integrity.engines.snapshot import QueryFailed, Session
from integrity.errors import describe_unexpected

DEPTH_MOST = 50
_READS = ("select", "with", "values", "table", "create", "end")
"""What a statement of a function in SQL begins with; the last two: of its whole definition, with `begin atomic`."""

# What a query can call without naming it: in, between, like, similar to, nullif, case, distinct, order by, using.
_IMPLICIT = frozenset(
    Mention(Use.OPERATOR, "", name) for name in ("=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~", "!~")
)

# What neither casts a value to another type nor calls what could, and stands before a parenthesis as often as all else.
_CASTLESS_WORDS = """
    abs all and any as array avg between bool_and bool_or by case coalesce count distinct else except exists extract filter
    from greatest group having in intersect is join lateral least length like limit lower materialized max min not now
    nullif offset on or order over partition position recursive round row_number select some sum then trim union upper
    using values when where with
"""
_CASTLESS = frozenset(_CASTLESS_WORDS.split())
_PLAIN_OPERATORS = frozenset(("=", "<>", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "%"))
OWN_FROM = 16384
"""The first oid that is not PostgreSQL's own."""

Node = tuple[str, int]  # ("function" | "view" | "domain", oid)


@dataclass(slots=True)
class _Known:
    """What the server has said."""

    meant: dict[Mention, set[Node]] = field(default_factory=dict)
    casts: dict[Mention, set[Node]] = field(default_factory=dict)  # those that have to be asked for
    callees: dict[Node, set[Node]] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)
    refused: dict[Node, str] = field(default_factory=dict)


def find_refusals(session: Session, texts: Mapping[str, str], trusted: Collection[str]) -> dict[str, str]:
    """Return name -> why, of the texts that could do more than read.

    A text that cannot be looked into is among them, and takes none of the others with it.

    Args:
        texts: name -> SQL, as it is sent.
        trusted: functions, as "schema.name", that may be called all the same.

    Raises:
        QueryFailed: the snapshot was lost.
    """
    try:
        return _find_refusals(session, texts, trusted)
    except QueryFailed as failed:
        if failed.is_snapshot_lost:
            raise
        reason, is_of_one = failed.reason, failed.is_unfit
    except Exception as error:
        reason, is_of_one = describe_unexpected(error), True
    if is_of_one and len(texts) > 1:  # the others are asked without it
        ordered = list(texts.items())
        half = len(ordered) // 2
        return find_refusals(session, dict(ordered[:half]), trusted) | find_refusals(session, dict(ordered[half:]), trusted)
    return dict.fromkeys(texts, f"not asked, as what it calls cannot be looked up: {reason}")


def _find_refusals(session: Session, texts: Mapping[str, str], trusted: Collection[str]) -> dict[str, str]:
    known = _Known()
    mentioned = {name: mentions_in(text) | _IMPLICIT for name, text in texts.items()}
    fresh = _resolve(session, known, frozenset().union(*mentioned.values()) if mentioned else frozenset())
    for _ in range(DEPTH_MOST):
        if not fresh:
            break
        fresh = _read(session, known, fresh, trusted)
    for node in fresh:  # deeper than anybody builds
        known.refused[node] = f"{known.names.get(node, node[0])} calls others more than {DEPTH_MOST} deep"
    return {
        name: reason
        for name, mentions in mentioned.items()
        if (reason := _find_refused(known, _nodes_of(known, mentions, can_cast=_can_cast(texts[name]))))
    }


def _nodes_of(known: _Known, mentions: Collection[Mention], *, can_cast: bool) -> set[Node]:
    """Return what the mentions of one text mean."""
    nodes = set().union(*(known.meant.get(mention, ()) for mention in mentions))
    if can_cast or any(kind == "function" and oid >= OWN_FROM for kind, oid in nodes):  # one for any type can cast it
        return nodes.union(*(known.casts.get(mention, ()) for mention in mentions))
    return nodes


def _can_cast(text: str) -> bool:
    """Whether the text may call a cast that has to be asked for: by `::` or `cast (`, or by what casts the values it gets.

    `'a' || mood`, to_json(mood) and quote_literal(mood) do.
    """
    return any(
        (one.kind is Kind.OTHER and one.text == ":" == other.text)
        or (one.kind is Kind.OPERATOR and one.text not in _PLAIN_OPERATORS)
        or (one.kind is Kind.NAME and other.kind is Kind.OTHER and other.text == "(" and one.text not in _CASTLESS)
        for one, other in pairwise(tokenize(text))
    )


def _find_refused(known: _Known, nodes: set[Node]) -> str:
    """Return why something that can be reached from these is refused; empty: nothing is."""
    waiting: list[tuple[Node, tuple[Node, ...]]] = [(node, ()) for node in sorted(nodes)]
    seen = set(nodes)
    while waiting:
        node, path = waiting.pop(0)
        if node in known.refused:
            through = "".join(f"{known.names[other]}, which calls " for other in path)
            return f"it calls {through}{known.refused[node]}"
        for callee in sorted(known.callees.get(node, set()) - seen):
            seen.add(callee)
            waiting.append((callee, (*path, node)))
    return ""


def _resolve(session: Session, known: _Known, mentions: frozenset[Mention], schemas: Collection[str] = ()) -> set[Node]:
    """Ask what the mentions mean; return what was not known before and has to be looked into."""
    ordered = sorted(mentions, key=lambda mention: (mention.use.value, mention.schema, mention.name))
    asked = [
        {"number": number, "use": mention.use.value, "schema": mention.schema, "name": mention.name}
        for number, mention in enumerate(ordered)
    ]
    suspects = sorted(STABLE_AND_NOT_HARMLESS | CONVERTERS)
    fresh = set()
    for row in session.read(_MEANT, [json.dumps(asked), json.dumps(suspects), json.dumps(sorted(schemas))], is_own=True):
        node = (str(row["kind"]), int(row["oid"]))
        meant = known.casts if row["has_to_be_asked_for"] else known.meant
        meant.setdefault(ordered[int(row["number"])], set()).add(node)
        fresh.add(node)
    return fresh - known.callees.keys()


def _read(session: Session, known: _Known, nodes: set[Node], trusted: Collection[str]) -> set[Node]:
    """Look into functions, views and domains; return what they call that has to be looked into next."""
    fresh: set[Node] = set()
    asked = [{"kind": kind, "oid": str(oid)} for kind, oid in sorted(nodes)]
    try:
        suspects = [json.dumps(sorted(names)) for names in (STABLE_AND_NOT_HARMLESS | CONVERTERS, CONVERTERS)]
        rows = session.read(_BODIES, [json.dumps(asked), *suspects], is_own=True)
    except QueryFailed as failed:  # what calls none of them can be asked all the same
        if failed.is_snapshot_lost:
            raise
        known.callees |= {node: set() for node in nodes}
        known.refused |= {node: f"a {node[0]} that cannot be looked into: {failed.reason}" for node in nodes}
        return fresh
    for row in rows:
        node = (str(row["kind"]), int(row["oid"]))
        known.names[node] = f"{row['kind'] + ' ' if row['kind'] != 'function' else ''}{row['schema']}.{row['name']}"
        known.callees[node] = set()
        is_function = node[0] == "function"
        if is_function and f"{row['schema']}.{row['name']}" in trusted:
            continue
        if row["is_held"]:
            known.refused[node] = f"{known.names[node]}, which cannot be looked into: another session locks what it reads"
            continue
        body = _body_to_follow(row) if is_function else row["body"]
        if is_function and body is None and (reason := _why_refused(row)):
            known.refused[node] = reason
            continue
        mentions = _mentions_of(row, body)
        schemas = re.findall(r'[^\s,"]+', row["path"] or "")
        if mentions:
            fresh |= _resolve(session, known, mentions, schemas)
        known.callees[node] = _nodes_of(known, mentions, can_cast=row["can_cast"] or _can_cast(body or ""))
        called = {(str(kind), int(oid)) for kind, oid in (pair.split(":") for pair in (row["depends"] or "").split())}
        known.callees[node] |= called
        fresh |= called - known.callees.keys()
    for node in nodes - known.callees.keys():  # dropped since, or somebody else's rights
        known.callees[node] = set()
    return {node for node in fresh if node not in known.callees}


def _mentions_of(row: Mapping[str, Any], body: str | None) -> frozenset[Mention]:
    """Return what a function, view or domain mentions, itself among it: what types it takes are in play in it.

    In a function the names of its arguments stand for values of any kind.
    """
    schema, name = str(row["schema"]), str(row["name"])
    defaults = mentions_in(str(row["defaults"] or ""))
    if row["kind"] == "function" and body is None:
        return defaults
    written = mentions_in(body or "") | defaults
    named = {Mention(Use.NAME, of, each) for of, each, _ in row["named"] or () if row["can_cast"]}
    named |= {Mention(Use.TYPE, of, each) for of, each, is_type in row["named"] or () if is_type}
    own = Mention(Use.CALL if row["kind"] == "function" else Use.NAME, schema, name)
    fields = {Mention(Use.FIELD, "", mention.name) for mention in written if mention.use is Use.ATTRIBUTE}
    return frozenset(written | named | fields | {own})


def _body_to_follow(row: Mapping[str, Any]) -> str | None:
    """Return the SQL that a function consists of; None: it cannot be read, and what is said of it counts."""
    if row["is_builtin"] or row["extension"]:
        return None
    if row["prokind"] == "a":
        return ""  # its parts are among what it depends on
    if row["language"] != "sql":
        return None
    body = str(row["body"] or "")
    is_first = True
    for token in tokenize(body):
        if is_first and not (token.kind is Kind.OTHER and token.text == "("):
            if token.kind is not Kind.NAME or token.text not in _READS:
                return None  # notify, lock, do, ...
            is_first = False
        if token.kind is Kind.OTHER and token.text == ";":
            is_first = True
    return body


def _why_refused(row: Mapping[str, Any]) -> str:
    """Return why a function that is not followed may not be called; empty: it may."""
    schema, name, extension = str(row["schema"]), str(row["name"]), str(row["extension"] or "")
    full, is_volatile = f"{schema}.{name}", row["volatility"] == "v"
    trust = f'trust it: `[audit] functions = ["{full}"]` in integrity.toml'
    if row["is_builtin"]:
        is_suspect, is_harmless = name in STABLE_AND_NOT_HARMLESS, name in VOLATILE_AND_HARMLESS
    else:
        is_suspect = not REFUSED_OF_EXTENSIONS.isdisjoint({(extension, name), (extension, "")})
        is_harmless = (extension, name) in HARMLESS_OF_EXTENSIONS
    if is_harmless or not (is_volatile or is_suspect):
        return ""
    if row["is_builtin"] or is_suspect:
        return f"{full}, which does more than read: leave it out, or {trust}"
    signature = f"{full}({row['arguments']})"
    return (
        f"{full}, which is volatile: it may do more than read. If it only reads, say so: "
        f"`alter function {signature} stable`, or {trust}"
    )


# What the names mean: functions, operators' functions, views and domains. PostgreSQL's own that are trusted are left out
# here, so that little travels. $1: the mentions; $2: stable functions that are not trusted; $3: more schemas to look in.
_MEANT = """
with recursive asked as materialized (
    select number, use, schema, name::name as name
    from json_to_recordset($1::json) as asked (number int, use text, schema text, name text)
),
places as materialized (
    select oid, nspname from pg_namespace
    where nspname = any (current_schemas(true)) or nspname in (select value::name from json_array_elements_text($3::json))
),
casts as materialized (
    select castsource as source, casttarget as target, castfunc as function, castcontext = 'e' as is_explicit
    from pg_cast
    where oid >= 16384 and castfunc <> 0
),
named (number, type) as materialized (  -- types that a mention brings into play
    select asked.number, types.oid
    from asked
    join pg_type as types on types.typname = asked.name
    where asked.use <> 'operator' and exists (select from casts)
    union
    select asked.number, attributes.atttypid
    from asked
    join pg_class as classes on classes.relname = asked.name
    join pg_attribute as attributes on attributes.attrelid = classes.oid and attributes.attnum > 0
    where asked.use <> 'operator' and exists (select from casts)
    union
    select asked.number, types.oid
    from asked
    join pg_proc as procs on procs.proname = asked.name and procs.oid >= 16384
    cross join lateral unnest(
        array[procs.prorettype] || procs.proargtypes::oid[] || coalesce(procs.proallargtypes, '{}'::oid[])
    ) as types (oid)
    where asked.use in ('call', 'attribute', 'field') and exists (select from casts)
    union
    select asked.number, types.oid
    from asked
    join pg_operator as operators on operators.oprname = asked.name and operators.oid >= 16384
    cross join lateral unnest(array[operators.oprleft, operators.oprright, operators.oprresult]) as types (oid)
    where asked.use = 'operator' and exists (select from casts)
),
play (number, type) as (  -- and what they are made of
    select number, type from named where type >= 16384
    union
    select play.number, parts.type
    from play
    cross join lateral (
        select unnest(array[types.typelem, types.typbasetype]) from pg_type as types where types.oid = play.type
        union all
        select attributes.atttypid
        from pg_type as types
        join pg_attribute as attributes on attributes.attrelid = types.typrelid and attributes.attnum > 0
        where types.oid = play.type and types.typrelid <> 0
        union all
        select ranges.rngsubtype from pg_range as ranges where ranges.rngtypid = play.type
        union all
        select ranges.rngtypid from pg_range as ranges where (to_jsonb(ranges) ->> 'rngmultitypid')::oid = play.type
    ) as parts (type)
    where parts.type >= 16384
),
found as (
    select asked.number, procs.oid, procs.proname, procs.provolatile, procs.pronamespace,
        false as is_cast, false as is_explicit
    from asked
    join pg_proc as procs on procs.proname = asked.name
    where
        asked.use = 'call'
        or (
            asked.use in ('attribute', 'field')
            and procs.pronargs >= 1
            and procs.oid >= 16384
            and (
                asked.use = 'field'
                or exists (
                    select from pg_type as types
                    where types.oid = procs.proargtypes[0] and types.typtype in ('c', 'p', 'd')
                )
            )
        )
    union all
    select asked.number, procs.oid, procs.proname, procs.provolatile, procs.pronamespace, false, false
    from asked
    join pg_operator as operators on operators.oprname = asked.name
    join pg_proc as procs on procs.oid = operators.oprcode
    where
        asked.use = 'operator'
        and case asked.schema
            when '' then operators.oprnamespace in (select oid from places)
            else operators.oprnamespace in (select oid from pg_namespace where nspname = asked.schema)
        end
    union all
    select play.number, procs.oid, procs.proname, procs.provolatile, procs.pronamespace, true, casts.is_explicit
    from play
    join casts on play.type in (casts.source, casts.target)
    join pg_proc as procs on procs.oid = casts.function
    union all
    select asked.number, procs.oid, procs.proname, procs.provolatile, procs.pronamespace, true, casts.is_explicit
    from casts  -- between types of PostgreSQL's own, which are always in play
    join pg_proc as procs on procs.oid = casts.function
    join asked on asked.use = 'operator' and asked.name = '='
    where casts.source < 16384 and casts.target < 16384
)
select found.number, 'function' as kind, found.oid::bigint as oid, found.is_explicit as has_to_be_asked_for
from found
join asked on asked.number = found.number
where
    (
        found.is_cast
        or asked.use = 'operator'
        or (asked.schema = '' and found.pronamespace in (select oid from places))
        or found.pronamespace in (select oid from pg_namespace where nspname = asked.schema)
    )
    and (
        found.oid >= 16384
        or found.provolatile = 'v'
        or found.proname::text in (select value from json_array_elements_text($2::json))
    )
union
select asked.number, 'view', classes.oid::bigint, false
from asked
join pg_class as classes on classes.relname = asked.name and classes.relkind = 'v' and classes.oid >= 16384
where asked.use <> 'operator' and case asked.schema
    when '' then classes.relnamespace in (select oid from places)
    else classes.relnamespace in (select oid from pg_namespace where nspname = asked.schema)
end
union
select asked.number, 'domain', types.oid::bigint, false
from asked
join pg_type as types on types.typname = asked.name and types.typtype = 'd' and types.oid >= 16384
where asked.use <> 'operator'
union
select asked.number, 'domain', members.oid::bigint, false
from asked
join pg_type as types on types.typname = asked.name and types.typtype = 'c'
join pg_attribute as attributes on attributes.attrelid = types.typrelid
join pg_type as members on members.oid = attributes.atttypid and members.typtype = 'd' and members.oid >= 16384
where asked.use = 'type'
union
select asked.number, 'domain', types.oid::bigint, false
from asked
join pg_type as types on types.typtype = 'd' and types.oid >= 16384
where asked.use = 'call' and asked.name like 'json%record%'
"""

# What they consist of. $1: what to look into; $2: stable functions that are not trusted; $3: those that convert. A view's
# functions are read from
# its rule as it is stored: to have it written as SQL waits for whoever locks a table of its. pg_depend leaves out
# PostgreSQL's own, and has all others.
_BODIES = """
with asked as materialized (
    select kind, oid::bigint::oid as oid
    from json_to_recordset($1::json) as asked (kind text, oid text)
),
rules as materialized (
    select asked.oid as asked, rules.oid
    from asked
    join pg_rewrite as rules on rules.ev_class = asked.oid
    where asked.kind = 'view'
),
links as (
    select asked.kind, asked.oid as asked, depends.refclassid, depends.refobjid
    from asked
    join pg_depend as depends on depends.classid = 'pg_proc'::regclass and depends.objid = asked.oid
    where asked.kind = 'function'
    union all
    select 'view', rules.asked, depends.refclassid, depends.refobjid
    from rules
    join pg_depend as depends on depends.classid = 'pg_rewrite'::regclass and depends.objid = rules.oid
    where depends.refobjid <> rules.asked
    union all
    select 'view', rules.asked, 'pg_proc'::regclass, procs.oid
    from rules
    join pg_rewrite as written on written.oid = rules.oid
    cross join lateral regexp_matches(
        written.ev_action::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid|tsmhandler) ([0-9]+)', 'g'
    ) as found
    join pg_proc as procs on procs.oid = found[1]::oid
    where
        procs.provolatile = 'v'
        or procs.proname::text in (select value from json_array_elements_text($2::json))
    union all
    select 'domain', checks.contypid, depends.refclassid, depends.refobjid
    from asked
    join pg_constraint as checks on checks.contypid = asked.oid and asked.kind = 'domain'
    join pg_depend as depends on depends.classid = 'pg_constraint'::regclass and depends.objid = checks.oid
    union all
    select 'function', asked.oid, 'pg_type'::regclass, types.oid
    from asked
    join pg_proc as procs on procs.oid = asked.oid and asked.kind = 'function' and procs.oid < 16384
    join pg_type as types on types.typtype = 'd' and types.oid >= 16384
    where procs.proname::text in (select value from json_array_elements_text($3::json))
),
locked as materialized (  -- also by who waits for the lock: who comes now waits behind
    select relation from pg_locks
    where mode = 'AccessExclusiveLock' and database in (0, (select oid from pg_database where datname = current_database()))
),
held as materialized (  -- functions with `begin atomic`, which to have written as SQL would wait
    select distinct links.kind, links.asked
    from links
    join locked on locked.relation = links.refobjid and links.refclassid = 'pg_class'::regclass
    where links.kind = 'function'
),
targets as (
    select kind, asked, 'function' as target_kind, refobjid as target
    from links
    where refclassid = 'pg_proc'::regclass
    union
    select links.kind, links.asked, 'function', operators.oprcode::oid
    from links
    join pg_operator as operators on operators.oid = links.refobjid and links.refclassid = 'pg_operator'::regclass
    union
    select links.kind, links.asked, 'view', classes.oid
    from links
    join pg_class as classes
        on classes.oid = links.refobjid and links.refclassid = 'pg_class'::regclass and classes.relkind = 'v'
    where classes.oid >= 16384
    union
    select links.kind, links.asked, 'domain', types.oid
    from links
    join pg_type as types on types.oid = links.refobjid and links.refclassid = 'pg_type'::regclass and types.typtype = 'd'
    where types.oid >= 16384
    union
    select 'domain', asked.oid, 'domain', bases.oid
    from asked
    join pg_type as types on types.oid = asked.oid and asked.kind = 'domain'
    join pg_type as bases on bases.oid = types.typbasetype and bases.typtype = 'd'
),
depends as (
    select kind, asked, string_agg(target_kind || ':' || target::bigint, ' ') as depends
    from targets
    where target <> 0
    group by kind, asked
)
select
    asked.kind,
    asked.oid::bigint as oid,
    coalesce(proc_schema.nspname, class_schema.nspname, type_schema.nspname) as schema,
    coalesce(procs.proname, classes.relname, types.typname) as name,
    languages.lanname as language,
    procs.provolatile::text as volatility,
    procs.prokind::text as prokind,
    pg_get_function_identity_arguments(procs.oid) as arguments,
    case when procs.pronargdefaults > 0 then pg_get_function_arguments(procs.oid) end as defaults,
    asked.oid < 16384 as is_builtin,
    (
        select max(extensions.extname::text)
        from pg_depend as members
        join pg_extension as extensions on extensions.oid = members.refobjid
        where
            members.classid = 'pg_proc'::regclass and members.objid = procs.oid
            and members.refclassid = 'pg_extension'::regclass and members.deptype = 'e'
    ) as extension,
    held.asked is not null as is_held,
    case case when held.asked is null then asked.kind end
        when 'function' then case
            when languages.lanname = 'sql' and procs.prokind <> 'a'
            then coalesce(nullif(procs.prosrc, ''), pg_get_functiondef(procs.oid))
        end
        when 'domain' then (
            select string_agg(pg_get_constraintdef(checks.oid), ' ')
            from pg_constraint as checks
            where checks.contypid = types.oid
        )
    end as body,
    (
        select substr(setting, 13)
        from unnest(procs.proconfig) as settings (setting)
        where starts_with(setting, 'search_path=')
    ) as path,
    depends.depends,
    exists (  -- a view calls what casts as it runs: a cast that it spells out is among its functions
        select from rules
        join pg_rewrite as written on written.oid = rules.oid
        cross join lateral regexp_matches(
            written.ev_action::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g'
        ) as called
        join pg_proc as callees on callees.oid = called[1]::oid
        where
            asked.kind = 'view' and rules.asked = asked.oid
            and (
                callees.oid >= 16384
                or callees.proname::text ~ 'json|quote_|anycat|textcat|xml'
            )
    ) or asked.kind = 'view' and exists (
        select from rules
        join pg_rewrite as written on written.oid = rules.oid
        where rules.asked = asked.oid and written.ev_action::text ~ 'JSONCONSTRUCTOR|JSONEXPR|XMLEXPR'
    ) as can_cast,
    (
        select json_agg(distinct jsonb_build_array(
            schemas.nspname, coalesce(classes.relname, types.typname), classes.oid is null
        ))
        from links
        left join pg_class as classes on classes.oid = links.refobjid and links.refclassid = 'pg_class'::regclass
        left join pg_type as types on types.oid = links.refobjid and links.refclassid = 'pg_type'::regclass
        join pg_namespace as schemas on schemas.oid = coalesce(classes.relnamespace, types.typnamespace)
        where links.kind = asked.kind and links.asked = asked.oid and links.refobjid >= 16384
    ) as named
from asked
left join pg_proc as procs on procs.oid = asked.oid and asked.kind = 'function'
left join pg_namespace as proc_schema on proc_schema.oid = procs.pronamespace
left join pg_language as languages on languages.oid = procs.prolang
left join pg_class as classes on classes.oid = asked.oid and asked.kind = 'view'
left join pg_namespace as class_schema on class_schema.oid = classes.relnamespace
left join pg_type as types on types.oid = asked.oid and asked.kind = 'domain'
left join pg_namespace as type_schema on type_schema.oid = types.typnamespace
left join held on held.kind = asked.kind and held.asked = asked.oid
left join depends on depends.kind = asked.kind and depends.asked = asked.oid
where coalesce(procs.oid, classes.oid, types.oid) is not null
"""
