"""Tables with what is odd about tables, a few rows in each, and statements that change them in every way.

What a capture sees and puts back is tried on them. The schemas are `app` and, for a table of the same name, `other`.
"""

from collections.abc import Mapping
from contextlib import closing

import psycopg
from psycopg import sql

from integrity.engines.target import Target

TABLES = r"""
create schema app;
create schema other;
create type app.mood as enum ('low', 'so, so', 'high "quoted"');
create domain app.positive as int check (value > 0);
create type app.pair as (a int, b text);

create table app.owners (
    id bigint generated always as identity primary key,
    code text unique,
    mood app.mood,
    parts int[],
    pair app.pair,
    size app.positive,
    twice int generated always as (size * 2) stored,
    body text
);
create table app.things (
    id serial primary key,
    owner_id bigint references app.owners on update cascade on delete cascade,
    code text references app.owners (code) on update cascade on delete set null,
    amount numeric,
    ratio float8,
    seen timestamptz,
    on_day date,
    span interval,
    price money,
    bytes bytea,
    doc json,
    docb jsonb,
    dropped int,
    unique (amount) deferrable initially deferred
);
alter table app.things drop column dropped;
alter table app.things add column again text default 'a\b"c,d(e)';
create table app.nodes (
    id int primary key, parent_id int references app.nodes deferrable initially deferred, place int unique
);
create table app.bag (a int, b text);
create table other.bag (a text primary key, "odd "" name" text);
create table app.keyed (a int, b text, c int, primary key (b, a));
create table app.parted (id int, part int, note text, primary key (id, part)) partition by list (part);
create table app.parted_1 partition of app.parted for values in (1);
create table app.parted_2 partition of app.parted for values in (2) partition by range (id);
create table app.parted_2_low partition of app.parted_2 for values from (0) to (100);
create table app.parted_2_high partition of app.parted_2 for values from (100) to (10000);
create table app.base (id int primary key, note text);
create table app.derived (more text, primary key (id)) inherits (app.base);
create table app.journal (id serial, said text);
create table app."Odd %s {x} :y" ("a:b %(c)s" int primary key, "{0}" text default '%s :z', "Größe" numeric);
create sequence app.tickets start 100 increment 5;
create view app.owner_codes as select id, code from app.owners;

insert into app.owners (code, mood, parts, pair, size, body)
values ('a', 'low', '{1,null,3}', '(1,"x, y")', 1, repeat('long ', 4000)), ('b', 'so, so', '{}', null, 2, null),
    ('c', 'high "quoted"', null, '(,)', 3, '');
insert into app.things (owner_id, code, amount, ratio, seen, on_day, span, price, bytes, doc, docb)
values (1, 'a', 1.50, 'NaN', 'infinity', '-infinity', '-1 day 2 hours', '12.34', '\xdeadbeef00', '{"b": 1,  "a": 2}',
        '{"b":1}'),
    (2, 'b', 'NaN', '-0', '2026-01-01 10:00:00.123456+02', '0044-03-15 BC', '1 year -3 days', null, '', '[]', 'null'),
    (null, null, null, 0.30000000000000004, null, null, null, null, null, null, null);
insert into app.nodes values (1, null, 1), (2, 1, 2), (3, 2, 3);
insert into app.bag values (1, 'x'), (1, 'x'), (2, null), (null, null), (null, null);
insert into other.bag values ('x', 'y');
insert into app.keyed values (1, 'x', 1), (2, 'x', 2), (1, 'y', 3);
insert into app.parted values (1, 1, 'one'), (2, 2, 'two'), (200, 2, 'high');
insert into app."Odd %s {x} :y" values (1, '{} %s :a', 1.0), (2, null, null);
insert into app.base values (1, 'base');
insert into app.derived values (2, 'derived', 'more');
select nextval('app.tickets'), nextval('app.tickets');
"""

TRIGGERS = """
create function app.tell() returns trigger language plpgsql as $$
begin
    insert into app.journal (said) values (tg_op || ' ' || tg_table_name);
    if tg_op <> 'DELETE' then
        update app.bag set a = coalesce(a, 0) + 1 where b = 'x';
    end if;
    return null;
end
$$;
create function app.shape() returns trigger language plpgsql as $$
begin
    new.c := new.c + 1;
    return new;
end
$$;
create trigger zz_tell after insert or update or delete on app.owners for each row execute function app.tell();
create trigger aa_shape before insert or update on app.keyed for each row execute function app.shape();
create constraint trigger late after update on app.nodes deferrable initially deferred
    for each row execute function app.tell();
create rule no_delete as on delete to other.bag do instead update other.bag set "odd "" name" = 'deleted' where a = old.a;
create function app.write_code() returns trigger language plpgsql as $$
begin
    update app.owners set code = new.code where id = old.id;
    return new;
end
$$;
create trigger instead instead of update on app.owner_codes for each row execute function app.write_code();
"""

STATEMENTS = (
    "insert into app.owners (code, size) values ('d', 4) on conflict do nothing",
    "insert into app.owners (code, size, body) values ('e', 5, repeat('more ', 3000)) "
    "on conflict (code) do update set size = 9",
    "update app.owners set code = code || '!'",
    "update app.owners set body = body || 'x' where id = 1",
    "update app.owners set mood = 'low', parts = parts || 7, pair = row(2, null)::app.pair where id = 3",
    "update app.owners set size = size",
    "update app.owners set id = default where code = 'c'",
    "delete from app.owners where id = 1",
    "delete from app.owners where code >= 'b'",
    "update app.owner_codes set code = 'viewed' where id = 2",
    "update app.things set amount = coalesce(amount, 0) + 1.00",
    "update app.things set ratio = ratio + 'Infinity'::float8, span = span * 2 where id < 3",
    "update app.things set amount = 3 - amount where amount <> 'NaN'",
    "insert into app.things (owner_id, amount, docb, bytes) values (2, 77.0, '{\"z\": [1, 2.50]}', '\\x00ff')",
    "update app.things set owner_id = (select max(id) from app.owners) where id = 1",
    "delete from app.things where id = 2",
    "update app.nodes set place = -place; update app.nodes set place = 4 + place",
    "insert into app.nodes values (9, 10, 9); insert into app.nodes values (10, 9, 10)",
    "update app.nodes set id = id + 100 where id = 3",
    "delete from app.nodes where id = 3",
    "insert into app.bag select * from app.bag where a is null",
    "delete from app.bag where ctid = (select min(ctid) from app.bag)",
    "update app.bag set a = 1 where a is null",
    "insert into other.bag values ('z', null) on conflict do nothing",
    "delete from other.bag where a = 'x'",
    "update app.keyed set a = a + 10",
    "update app.keyed set a = 50 where (a, b) = (1, 'x'); update app.keyed set a = 1 where (a, b) = (2, 'x'); "
    "update app.keyed set a = 2 where (a, b) = (50, 'x')",
    "insert into app.keyed values (7, 'new', 7) on conflict do nothing",
    "update app.parted set part = 3 - part",
    "update app.parted set id = id + 150 where part = 2 and id < 100",
    "delete from app.parted where part = 1",
    "update app.base set note = note || '+'",
    "delete from app.derived",
    "insert into app.derived values (5, 'n', 'm') on conflict do nothing",
    "update app.things as t set amount = o.amount from app.things as o where t.id + o.id = 4 and t.id <> o.id",
    'update app."Odd %s {x} :y" set "{0}" = \'%(x)s {} :q\', "Größe" = 2.00',
    'delete from app."Odd %s {x} :y" where "a:b %(c)s" = 2',
    "truncate app.bag",
    "truncate app.owners restart identity cascade",
    "truncate app.parted",
    "truncate only app.base",
    "select nextval('app.tickets')",
    "select setval('app.journal_id_seq', 500, false)",
    "savepoint s; delete from app.things; rollback to s",
    "set constraints all immediate",
)


VIRTUAL = "alter table app.owners add column shown text generated always as (upper(code)) virtual"
VIRTUAL_SINCE = 180_000


def make_odd_tables(target: Target) -> None:
    """Make the tables, with their rows."""
    with closing(target.connect()) as connection:
        connection.execute(TABLES.encode())
        connection.execute(TRIGGERS.encode())
        if connection.info.server_version >= VIRTUAL_SINCE:
            connection.execute(VIRTUAL.encode())


def contents(connection: "psycopg.Connection[tuple[object, ...]]") -> Mapping[str, list[str]]:
    """Return what stands in each table and sequence of the two schemas, as text."""
    tables = connection.execute(
        """
        select n.nspname, c.relname, c.relkind::text
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname in ('app', 'other') and c.relkind in ('r', 'S')
        order by 1, 2
        """
    ).fetchall()
    found = {}
    for schema, name, kind in tables:
        place = sql.Identifier(str(schema), str(name))
        row = sql.SQL("t::text" if kind == "r" else "concat(t.last_value, t.is_called)")
        query = sql.SQL("select {} from only {} as t order by 1").format(row, place)
        if kind == "S":
            query = sql.SQL("select {} from {} as t").format(row, place)
        found[f"{schema}.{name}"] = [str(text) for (text,) in connection.execute(query)]
    return found
