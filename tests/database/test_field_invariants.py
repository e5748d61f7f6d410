"""What people check in the field, each reduced to a few rows: the audit finds as many rows as the query itself, either way.

The expected number stands beside each query and is held against a plain count of it, too.
"""

import pytest

from integrity.engines.target import Target
from integrity.verdict import Verdict
from tests.database.bank import execute, file, findings

FIELD = """
create table forums (id int primary key, post_count int not null);
create table posts (id int primary key, forum_id int references forums, deleted_at timestamp);
insert into forums values (1, 2), (2, -1), (3, 1);
insert into posts values (1, 1, null), (2, 1, '2026-01-01'), (3, 2, '2026-01-01'), (4, 2, null), (5, 3, null);

create table keys (merchant bigint, key varchar(40), state text, locked_at timestamptz, answer jsonb,
    primary key (merchant, key));
create table charges (id bigint generated always as identity primary key, merchant bigint, key varchar(40),
    currency char(3));
insert into keys values (1, 'a', 'done', null, '{}'), (1, 'b', 'waiting', 'infinity', null), (2, 'a', 'waiting',
    '2001-01-01', null);
insert into charges (merchant, key, currency) values (1, 'a', 'EUR'), (1, 'a', 'EUR'), (1, null, 'EUR'), (1, null,
    'EUR'), (2, 'a', 'USD');

create table labels (id int primary key, space text not null, name text not null, unique (space, name));
create table tagged (page int, place smallint, label_id int references labels, primary key (page, place));
insert into labels values (1, 'x', 'Go'), (2, 'x', 'go'), (3, 'y', 'go');
insert into tagged values (1, 1, 1), (1, 2, null);

create table bills (id int primary key, issuer smallint, issued date, number int, full_number text);
create sequence bill_numbers; select setval('bill_numbers', 5);
insert into bills values (1, 1, '2026-01-02', 1, '1/26'), (2, 1, '2026-01-03', 2, '2/26'), (3, 1, '2026-01-04', 2,
    '2/26'),
    (4, 1, '2026-01-05', 6, '7/26');

create table meters (id int primary key, zone text not null);
create table readings (meter_id int, at timestamptz, kwh numeric(8, 3) not null, primary key (meter_id,
    at)) partition by range (at);
create table readings_of_spring partition of readings for values from ('2026-03-01') to ('2026-05-01');
create table readings_at_other_times partition of readings default;
create table days (meter_id int, day date, readings int, primary key (meter_id, day));
insert into meters values (1, 'Europe/Berlin');
insert into readings select 1, at, 1 from generate_series(timestamptz '2026-03-28 23:00+00', '2026-03-29 21:00+00',
    '1 hour') as at;
insert into readings values (1, 'infinity', 1), (1, '0044-03-15 00:00+00 BC', 1);
insert into days values (1, '2026-03-29', 23);

create type "Mood" as enum ('YES', 'NO');
create table "Slot" ("slotId" int primary key, "roomId" text, "from" timestamp, "until" timestamp, mood "Mood");
insert into "Slot" values (1, 'r', '2026-01-01 10:00', '2026-01-01 11:00', 'YES'), (2, 'r', '2026-01-01 10:30',
    '2026-01-01 12:00', 'YES'),
    (3, 'r', '2026-01-01 10:00', '2026-01-01 12:00', 'NO'), (4, 'q', '2026-01-01 10:00', '2026-01-01 09:00', 'YES');

create table "ACCOUNTS" ("ID" int primary key, "BALANCE" numeric(32, 16), "LEAST" numeric(32, 16));
create table "MOVES" ("ID" int primary key, "FROM" int, "TO" int, "AMOUNT" numeric(32, 16));
insert into "ACCOUNTS" values (1, 7, 0), (2, -7, -10), (3, 1, 0);
insert into "MOVES" values (1, 2, 1, 7);
"""

QUESTIONS = {
    "a counter that was decremented twice": (
        "select f.id, f.post_count, count(p.id) as live from forums f left join posts p on p.forum_id = f.id and "
        "p.deleted_at is null group by f.id, f.post_count having f.post_count <> count(p.id)",
        2,
    ),
    "a counter below zero": ("select id, post_count from forums where post_count < 0", 1),
    "a charge for each key": (
        "select merchant, key, count(*), array_agg(id order by id) as ids from charges where key is not null "
        "group by merchant, key having count(*) > 1",
        1,
    ),
    "a key that is stuck": ("select merchant, key from keys where state = 'waiting' and locked_at < '2020-01-01'", 1),
    "an answer for each key that is done": (
        "select merchant, key, answer from keys where state = 'done' and (answer is null or answer ->> 'status' is null)",
        1,
    ),
    "a key twice": ("select merchant, key, count(*) from keys group by merchant, key having count(*) > 1", 0),
    "a label once whatever its case": (
        "select space, lower(name) as name, count(*) from labels group by space, lower(name) having count(*) > 1",
        1,
    ),
    "a label once": ("select space, name, count(*) from labels group by space, name having count(*) > 1", 0),
    "a name in one space": ("select name, count(*) from labels group by name having count(*) > 1", 1),
    "a tag with a label": ("select page, place from tagged where label_id is null", 1),
    "a number once": (
        "select issuer, extract(year from issued) as year, number, count(*), string_agg(full_number, ', ') as numbers "
        "from bills group by issuer, extract(year from issued), number having count(*) > 1",
        1,
    ),
    "no gap, by a series": (
        "select r.issuer, n as missing from (select issuer, max(number) as most from bills group by issuer) as r "
        "cross join lateral generate_series(1, r.most) as n where not exists (select from bills b where b.number = n)",
        3,
    ),
    "no gap, by a window": (
        "select issuer, before + 1 as first, number - 1 as last from (select issuer, number, lag(number) "
        "over (partition by issuer order by number) as before from bills) as numbered where number > before + 1",
        1,
    ),
    "a sequence at its last": (
        "select last_value, (select max(number) from bills) as most from bill_numbers "
        "where last_value < (select max(number) from bills)",
        1,
    ),
    "a number that is told twice": (
        "select id, full_number from bills where full_number !~ '^[0-9]+/[0-9]{2}$' or "
        "split_part(full_number, '/', 1)::int <> number",
        1,
    ),
    "a day of 23 hours": (
        "select d.day, d.readings, count(r.at) as found from days d join meters m on m.id = d.meter_id join readings r on "
        "r.meter_id = m.id and r.at >= d.day::timestamp at time zone m.zone and r.at < (d.day + 1)::timestamp at time zone "
        "m.zone group by d.day, d.readings having d.readings <> count(r.at)",
        0,
    ),
    "a time that is a time": ("select meter_id, at from readings where at >= '2100-01-01' or at < '2000-01-01'", 2),
    "one slot at a time": (
        'select a."slotId", b."slotId", tsrange(a."from", a."until") as one from "Slot" a join "Slot" b on '
        'a."roomId" = b."roomId" and a."slotId" < b."slotId" where a.mood = \'YES\' and b.mood = \'YES\' and '
        'tsrange(a."from", a."until") && tsrange(b."from", b."until")',
        1,
    ),
    "an end after its start": ('select "Slot"."slotId" from "Slot" where "Slot"."until" <= "Slot"."from"', 1),
    "a slot without a room": ('select "Slot"."slotId" from public."Slot" where "Slot"."roomId" is null', 0),
    "balances that sum to nothing": ('select sum("BALANCE") as total from "ACCOUNTS" having sum("BALANCE") <> 0', 1),
    "a balance that is its moves": (
        'select a."ID", a."BALANCE" from "ACCOUNTS" a '
        'left join (select "TO" as id, sum("AMOUNT") as s from "MOVES" group by 1) as came on came.id = a."ID" '
        'left join (select "FROM" as id, sum("AMOUNT") as s from "MOVES" group by 1) as went on went.id = a."ID" '
        'where a."BALANCE" <> coalesce(came.s, 0) - coalesce(went.s, 0)',
        1,
    ),
    "a balance above its least": ('select "ID", "BALANCE" from "ACCOUNTS" where "BALANCE" < "LEAST"', 0),
}


@pytest.mark.parametrize("is_exact", [False, True], ids=["planned", "exact"])
def test_each_question_of_the_field_has_the_rows_that_its_query_has(database: Target, is_exact: bool) -> None:
    execute(database, FIELD)
    asked = [file(query, f"field/{name}") for name, (query, _) in QUESTIONS.items()]
    found = findings(database, asked, is_exact=is_exact)
    with database.connect() as connection:
        for name, (query, expected) in QUESTIONS.items():
            counted = connection.execute(f"select count(*) from ({query}) as q").fetchone()
            count = counted[0] if counted else 0
            verdict = Verdict.VIOLATED if count else Verdict.HOLDS
            assert (name, count, found[name].verdict, found[name].violation_count) == (name, expected, verdict, expected)
            assert len(found[name].rows) == count
