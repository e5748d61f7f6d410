"""The two questions of reach.py to the server: what names mean, and what is behind them."""

# What the names mean: functions, operators' functions, views and domains. PostgreSQL's own that are trusted are left out
# here, so that little travels. $1: the mentions; $2: stable functions that are not trusted; $3: more schemas to look in.
MEANT = """
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
BODIES = """
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
