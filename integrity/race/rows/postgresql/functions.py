"""What a capture puts into the database: a schema with the log and what reads it, and what a table's triggers call.

The log has no index, no key and no sequence, so that nobody waits for another there, no serializable transaction is refused
for it, and `lastval()` stays the application's. Actors only insert into it.

Rows are logged as text of the table's row type, which goes back into exactly the same row. How a value is spelled hangs on
settings of the session, so the functions have settings of their own. A log of composite values would keep the application
from altering its tables; logged as json, what is no json is not the same when it comes back.
"""

from collections.abc import Iterable, Sequence

from psycopg import sql

from integrity.race.rows.postgresql.tables import SCHEMA, TRIGGER, image_of, located
from integrity.race.rows.tables import CapturedTable

MARK = "integrity: sees what a race changes; the next race removes what a killed one left"
"""The comment on the schema, by which it is known to be ours."""

_LOG_BYTES_MOST = 256 * 1024
"""What was deleted from the log stays in its file, which every question reads. `truncate` costs more than a few rows."""

_LARGE_OBJECT_BYTES_MOST = 8 * 1024 * 1024
"""More are not looked through behind each schedule."""

_STATE = ", ".join(f"{SCHEMA}.{name}() as {name}" for name in ("fingerprint", "large_objects", "views"))

_SPELLING = """
    set search_path = pg_catalog set datestyle = 'ISO, MDY' set intervalstyle = postgres set timezone = 'UTC'
    set extra_float_digits = 1 set bytea_output = hex set lc_monetary = 'C' set xmloption = content
"""

_CREATE = f"""
create schema {SCHEMA};
comment on schema {SCHEMA} is '{MARK}';

create unlogged table {SCHEMA}.log (
    transaction_id xid8 not null,
    pid int4 not null,
    relation oid not null,
    operation text not null,
    written_at timestamptz not null,
    seen_by pg_snapshot,  -- of a truncate that did not see what is committed, but what its transaction saw
    old text collate "C",
    new text collate "C"
) with (autovacuum_enabled = false);  -- whose lock is in the way of `mark` and `undo` as an open transaction's is
create table {SCHEMA}.tables (
    relation oid primary key, undo text not null, swap text not null,
    off text not null, back_on text not null  -- statements about what would run when rows are put back
);
create table {SCHEMA}.sequences (
    sequence oid primary key, last_value int8 not null, is_called bool not null
);
create table {SCHEMA}.definitions (
    fingerprint text not null, large_objects text not null, views text not null,
    is_watched bool not null default false  -- whatever is done to definitions is noted as a command
);
create unlogged table {SCHEMA}.commands (done text not null);  -- that no trigger of a table sees, and nothing undoes

create view {SCHEMA}.net as
select relation, image, sum(n) as n
from (
    select relation, new as image, 1 as n from {SCHEMA}.log where new is not null
    union all
    select relation, old, -1 from {SCHEMA}.log where old is not null
) as written
group by relation, image
having sum(n) <> 0;

create function {SCHEMA}.note() returns trigger language plpgsql security definer {_SPELLING} as $$
begin
    insert into {SCHEMA}.log values (
        pg_current_xact_id(), pg_backend_pid(), tg_relid, tg_op, clock_timestamp(), null,
        case when tg_op <> 'INSERT' then old::text end, case when tg_op <> 'DELETE' then new::text end
    );
    return null;
end
$$;

create function {SCHEMA}.note_truncate() returns trigger language plpgsql security definer {_SPELLING} as $$
begin
    execute format(
        'insert into {SCHEMA}.log
        select pg_current_xact_id(), pg_backend_pid(), %s, ''TRUNCATE'', clock_timestamp(), $1, %s, null from only %s as t',
        tg_relid, tg_argv[0], tg_relid::regclass
    ) using case when current_setting('transaction_isolation') <> 'read committed' then pg_current_snapshot() end;
    return null;
end
$$;

-- Definitions, and what is made of queries; what a session makes for itself is nobody else's.
create function {SCHEMA}.note_commands() returns event_trigger language plpgsql security definer {_SPELLING} as $$
begin
    insert into {SCHEMA}.commands
    select format('%s %s', lower(command_tag), object_identity)
    from pg_event_trigger_ddl_commands()
    where coalesce(schema_name, '') !~ '^pg_temp' and schema_name is distinct from '{SCHEMA}'
        and command_tag not in ('REINDEX', 'COMMENT');
end
$$;

create function {SCHEMA}.note_drops() returns event_trigger language plpgsql security definer {_SPELLING} as $$
begin
    insert into {SCHEMA}.commands
    select format('drop %s %s', object_type, object_identity)
    from pg_event_trigger_dropped_objects()
    where original and not is_temporary and schema_name is distinct from '{SCHEMA}';
end
$$;

create function {SCHEMA}.large_objects() returns text language plpgsql stable as $$
declare
    written text := '';
begin
    if not exists (select from pg_catalog.pg_largeobject_metadata) then
        return 'none';  -- as nearly everywhere, asked twice a schedule: in a third of the time of all below
    end if;
    if has_table_privilege('pg_catalog.pg_largeobject', 'select')
        and pg_relation_size('pg_catalog.pg_largeobject') < {_LARGE_OBJECT_BYTES_MOST} then
        select format('%s %s', count(*), sum(xmin::text::int8)) into written from pg_catalog.pg_largeobject;
    end if;
    return (select format('%s %s %s', count(*), sum(oid::int8), written) from pg_catalog.pg_largeobject_metadata);
end
$$;

-- By the files of all: one that is refreshed has a new one.
create function {SCHEMA}.views() returns text language sql stable as $$
    select format('%s %s', count(*), sum(c.relfilenode::int8))
    from pg_catalog.pg_class as c
    where c.relkind = 'm'
$$;

-- Tables that are made or dropped, and columns that are added.
create function {SCHEMA}.fingerprint() returns text language sql stable as $$
    select format('%s %s', count(*), sum(c.relnatts))
    from pg_catalog.pg_class as c
    where c.relkind in ('r', 'p') and c.relpersistence <> 't' and c.oid >= 16384
$$;

-- What was done since the mark that nobody undoes, in words.
create function {SCHEMA}.not_undone() returns setof text language sql as $$
    select distinct done from {SCHEMA}.commands
    union all
    select unnest(array[
        case when large_objects <> {SCHEMA}.large_objects() then 'large objects were written' end,
        case when not is_watched and views <> {SCHEMA}.views() then 'materialized views were refreshed' end,
        case
            when not is_watched and fingerprint <> {SCHEMA}.fingerprint() then 'tables were made, altered or dropped'
        end
    ])
    from {SCHEMA}.definitions
$$;

create function {SCHEMA}.mark() returns void language plpgsql as $$
begin
    lock table {SCHEMA}.log in share mode nowait;  -- whoever has written and goes on holds a lock that is in the way
    delete from {SCHEMA}.log;
    update {SCHEMA}.sequences as noted
    set last_value = s.last_value, is_called = s.is_called
    from {SCHEMA}.states() as s
    where s.sequence = noted.sequence
        and (s.last_value, s.is_called) is distinct from (noted.last_value, noted.is_called);
    delete from {SCHEMA}.commands;
    update {SCHEMA}.definitions as noted
    set fingerprint = now.fingerprint, large_objects = now.large_objects, views = now.views
    from (select {_STATE}) as now
    where (noted.fingerprint, noted.large_objects, noted.views) <> (now.fingerprint, now.large_objects, now.views);
end
$$;

-- A statement for these tables together, whose plan is kept with the function that it stands in.
create function {SCHEMA}.put_back(way text, relations oid[]) returns void language plpgsql as $$
declare
    name text := format('{SCHEMA}.%s_%s', way, md5(relations::text));
begin
    if to_regprocedure(name || '()') is null then
        execute format(
            'create function %s() returns void language plpgsql as %L', name,
            format(
                'declare done int;
                begin with net as materialized (select * from {SCHEMA}.net), %s select 1 into done; end',
                (
                    select string_agg(case way when 'undo' then undo else swap end, ',' order by relation)
                    from {SCHEMA}.tables where relation = any (relations)
                )
            )
        );
    end if;
    execute format('select %s()', name);
end
$$;

create function {SCHEMA}.undo() returns void language plpgsql {_SPELLING} as $$
declare
    changed oid[];
    is_partial bool;
    may_differ bool;
    named text;
    turn_off text;
    turn_on text;
begin
    lock table {SCHEMA}.log in share mode nowait;
    select array_agg(distinct relation), bool_or(seen_by is not null) into changed, is_partial from {SCHEMA}.log;
    if is_partial then
        select string_agg(distinct t.relation::regclass::text, ', ') into named
        from {SCHEMA}.log as t
        join {SCHEMA}.log as o on o.relation = t.relation and o.transaction_id <> t.transaction_id
        where t.seen_by is not null and o.written_at < t.written_at
            and not pg_visible_in_snapshot(o.transaction_id, t.seen_by);
        if named is not null then
            raise exception 'what a truncate took from % was not all visible to its transaction', named;
        end if;
    end if;
    select not is_watched or exists (select from {SCHEMA}.commands) into may_differ from {SCHEMA}.definitions;
    if may_differ and (select fingerprint from {SCHEMA}.definitions) <> {SCHEMA}.fingerprint() then
        raise exception 'tables were made, altered or dropped since the mark';
    end if;
    if changed is not null then
        select string_agg(off, ';'), string_agg(back_on, ';') into turn_off, turn_on
        from {SCHEMA}.tables
        where relation = any (changed) and off <> '';
        if turn_off is not null then
            execute turn_off;
        end if;
        begin
            perform {SCHEMA}.put_back('undo', changed);
        exception when unique_violation or exclusion_violation then
            perform {SCHEMA}.put_back('swap', changed);
        end;
        if turn_on is not null then
            set constraints all immediate;  -- what is still to be checked would keep a table from being altered
            execute turn_on;
        end if;
        select string_agg(distinct relation::regclass::text, ', ') into named from {SCHEMA}.net;
        if named is not null then
            raise exception 'rows of % do not come back as they were', named;
        end if;
    end if;
    perform setval(s.sequence::regclass, noted.last_value, noted.is_called)
    from {SCHEMA}.states() as s
    join {SCHEMA}.sequences as noted on noted.sequence = s.sequence
    where (s.last_value, s.is_called) is distinct from (noted.last_value, noted.is_called);
    delete from {SCHEMA}.log;
    delete from {SCHEMA}.commands;
    update {SCHEMA}.definitions set large_objects = {SCHEMA}.large_objects()
    where large_objects <> {SCHEMA}.large_objects();
    if may_differ then
        update {SCHEMA}.definitions set views = {SCHEMA}.views() where views <> {SCHEMA}.views();
    end if;
    if pg_relation_size('{SCHEMA}.log') > {_LOG_BYTES_MOST} then
        begin
            lock table {SCHEMA}.log in access exclusive mode nowait;
            truncate {SCHEMA}.log;
        exception when lock_not_available then  -- somebody reads it: the next time will do
        end;
    end if;
end
$$;
"""

_STATES = """
create function {schema}.states() returns table (sequence oid, last_value int8, is_called bool) language plpgsql as $$
begin
    return query {states};
end
$$
"""

_TRIGGERS = """
create trigger {trigger} after insert or update or delete on {table} for each row execute function {schema}.note();
create trigger {truncate} before truncate on {table} for each statement
    execute function {schema}.note_truncate({image});
alter table {table} enable always trigger {trigger};
alter table {table} enable always trigger {truncate};
"""


def creation(
    tables: Iterable[CapturedTable], sequences: Sequence[tuple[int, sql.Identifier]]
) -> list[sql.SQL | sql.Composed]:
    """Return the statements that put a capture on the tables."""
    schema = sql.Identifier(SCHEMA)
    states = sql.SQL(" union all ").join(
        sql.SQL("select {}::oid, s.last_value, s.is_called from {} as s").format(sql.Literal(oid), name)
        for oid, name in sequences
    )
    none = sql.SQL("select 0::oid, 0::int8, false where false")
    return [
        sql.SQL(_CREATE),
        sql.SQL(_STATES).format(schema=schema, states=states if sequences else none),
        sql.SQL("insert into {0}.sequences select * from {0}.states()").format(schema),
        sql.SQL(f"insert into {SCHEMA}.definitions select {_STATE}"),
        *(
            sql.SQL(_TRIGGERS).format(
                schema=schema,
                table=located(table),
                trigger=sql.Identifier(TRIGGER),
                truncate=sql.Identifier(f"{TRIGGER}_truncate"),
                image=sql.Literal(image_of(table).as_string(None)),
            )
            for table in tables
        ),
    ]


WATCH_COMMANDS = (
    sql.SQL(f'create event trigger "{TRIGGER}" on ddl_command_end execute function {SCHEMA}.note_commands()'),
    sql.SQL(f'create event trigger "{TRIGGER}_drops" on sql_drop execute function {SCHEMA}.note_drops()'),
    sql.SQL(f'alter event trigger "{TRIGGER}" enable always'),
    sql.SQL(f'alter event trigger "{TRIGGER}_drops" enable always'),
    sql.SQL(f"update {SCHEMA}.definitions set is_watched = true"),
)
"""What superusers may have: every definition that is changed is noted, also by a function, and a refresh."""

REMOVAL = sql.SQL("drop schema {} cascade").format(sql.Identifier(SCHEMA))
"""Takes the triggers along, as they need its functions."""
