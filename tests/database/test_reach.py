"""What could do more than read is not asked, however it is written; what reads is, and is judged as before."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from integrity.audit import AuditSettings, audit
from integrity.cli.main import main
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.postgresql.mentions import Mention, TokenUse, mentions_in
from integrity.engines.postgresql.reach import find_refusals
from integrity.engines.snapshot import QueryFailed
from integrity.engines.target import Target
from integrity.events import AuditFinished, AuditStarted, InvariantJudged
from integrity.invariants.load import load_invariants
from integrity.project import Project, Settings
from integrity.queries.load import load_queries
from integrity.sql.file import parse_sql_file
from integrity.verdict import Verdict

OBJECTS = """
create schema shop;
create table shop.carts (id int, name text);
create function public.any_rows() returns setof record language plpgsql as 'begin end';
create sequence shop.numbers;
insert into shop.carts values (1, 'a');
create function shop.acts() returns int language plpgsql as 'begin return 1; end';
create function shop.reads() returns int stable language plpgsql as 'begin return 1; end';
create function shop.wraps_reads() returns int language sql as 'select shop.reads() + count(*)::int from shop.carts';
create function shop.wraps_acts() returns int stable language sql as 'select shop.acts()';
create function shop.wraps_deeper() returns int language sql as 'select shop.wraps_acts()';
create function shop.ends() returns boolean stable language sql as 'select pg_terminate_backend(1)';
create function shop.notifies() returns void language sql as 'select 1; notify shop';
create function shop.with_default(x int default shop.acts()) returns int stable language plpgsql as 'begin return 1; end';
create function shop.own_path() returns int language sql set search_path = shop as 'select acts()';
create view shop.ending as select id, pg_terminate_backend(id) as ended from shop.carts;
create view shop.over_ending as select * from shop.ending;
create view shop.reading as select id, now() as at, clock_timestamp() as later, shop.reads() as r from shop.carts;
create function shop.plus(int, text) returns int language plpgsql as 'begin return 1; end';
create operator shop.+ (function = shop.plus, leftarg = int, rightarg = text);
create function shop.equal(text, int) returns boolean language plpgsql as 'begin return true; end';
create function shop.add(int, int) returns int language plpgsql as 'begin return 1; end';
create aggregate shop.total(int) (sfunc = shop.add, stype = int);
create function shop.is_email(text) returns boolean language plpgsql as 'begin return true; end';
create domain shop.email as text check (shop.is_email(value));
create domain shop.work_email as shop.email;
create type shop.contact as (address shop.email);
create type shop.mood as enum ('good');
create function shop.to_mood(int) returns shop.mood language plpgsql as 'begin return ''good''; end';
create cast (int as shop.mood) with function shop.to_mood(int);
create function public.size(shop.carts) returns int language plpgsql as 'begin return 1; end';
create type shop.tone as enum ('good');
create function shop.spell(shop.tone) returns text language plpgsql as 'begin return ''good''; end';
create cast (shop.tone as text) with function shop.spell(shop.tone);
create function shop.weigh(shop.tone) returns json language plpgsql as 'begin return ''1''; end';
create cast (shop.tone as json) with function shop.weigh(shop.tone);
create domain shop.temper as shop.tone;
create table shop.people (id int, voice shop.tone, temper shop.temper, moods shop.tone[], name text);
create view shop.crowd as select people.id, to_jsonb(people) as person from shop.people;
create view shop.crowd_ids as select id, name from shop.people where id > 0;
create function shop.everybody() returns setof shop.people stable language sql as 'select * from shop.people';
create function shop.spelled(one shop.tone) returns text stable language sql as 'select one::text';
create function public.upper(anyelement) returns text stable language sql as 'select $1::text';
create type shop.grade as enum ('a');
create function shop.to_grade(int) returns shop.grade language plpgsql as 'begin return ''a''; end';
create cast (int as shop.grade) with function shop.to_grade(int) as implicit;
create function shop.likes(shop.grade) returns int stable language plpgsql as 'begin return 1; end';
create function public.called(text) returns int language plpgsql as 'begin return 1; end';
create function public.known(name) returns int language plpgsql as 'begin return 1; end';
create function shop.call_it(word text) returns int stable language sql as 'select word.called';
create type shop.address as (street text);
create domain shop.home as shop.address;
create table shop.homes (id int, home shop.home);
create function public.away(shop.home) returns int language plpgsql as 'begin return 1; end';
create view shop.contacts as select jsonb_populate_record(null::shop.contact, '{}') as contact;
"""

ACTS: dict[str, tuple[str, str]] = {
    "unicode name": ('select U&"pg_terminate\\005fbackend"(1)', "pg_terminate_backend"),
    "unicode name, another escape": ("select U&\"pg!005fsleep\" uescape '!' (1)", "pg_sleep"),
    "quoted name": ('select "pg_sleep" (1)', "pg_sleep"),
    "schema and comments": ("select pg_catalog /* a */ . -- b\n pg_sleep /* c */ (1)", "pg_sleep"),
    "behind a string that goes on": ("select E'a'\n'\\' || ' || pg_sleep(1)::text || ''", "pg_sleep"),
    "text that is run": ("select query_to_xml('select 1', true, true, '')", "query_to_xml"),
    "text that is run for statistics": ("select * from ts_stat('select 1')", "ts_stat"),
    "view by its name in a text": ("select table_to_xml('shop.ending', true, true, '')", "table_to_xml"),
    "from": ("select * from pg_ls_dir('/')", "pg_ls_dir"),
    "file": ("select pg_read_file('/etc/passwd')", "pg_read_file"),
    "slot": ("select pg_create_physical_replication_slot('left')", "pg_create_physical_replication_slot"),
    "number of a transaction": ("select txid_current()", "txid_current"),
    "number of a transaction, newer": ("select pg_current_xact_id()", "pg_current_xact_id"),
    "sequence": ("select nextval('shop.numbers'), currval('shop.numbers')", "nextval"),
    "lock": ("select pg_try_advisory_lock(1)", "pg_try_advisory_lock"),
    "setting": ("select set_config('a.b', 'c', false)", "set_config"),
    "large object": ("select lo_creat(-1)", "lo_creat"),
    "statistics": ("select pg_stat_reset()", "pg_stat_reset"),
    "log": ("select pg_switch_wal(), pg_logical_emit_message(true, 'a', 'b')", "pg_switch_wal"),
    "snapshot": ("select pg_export_snapshot()", "pg_export_snapshot"),
    "function": ("select shop.acts()", "shop.acts"),
    "function in SQL that declares otherwise": ("select shop.wraps_acts()", "shop.wraps_acts, which calls shop.acts"),
    "function in SQL of a function in SQL": ("select shop.wraps_deeper()", "shop.wraps_acts, which calls shop.acts"),
    "function in SQL that ends sessions": ("select shop.ends()", "pg_terminate_backend"),
    "second statement of a function": ("select shop.notifies()", "shop.notifies"),
    "default of an argument": ("select shop.with_default()", "shop.acts"),
    "search path of a function": ("select shop.own_path()", "shop.acts"),
    "view": ("select id from shop.ending", "view shop.ending"),
    "view of a view": ('select id from shop."over_ending"', "view shop.ending"),
    "operator": ("select 1 operator(shop.+) 'a'::text", "shop.plus"),
    "aggregate": ("select shop.total(id) from shop.carts", "shop.add"),
    "domain": ("select 'a'::shop.email", "shop.is_email"),
    "domain of a domain": ("select cast('a' as shop.work_email)", "shop.is_email"),
    "domain in a row": ("select '(a)'::shop.contact", "shop.is_email"),
    "domain in a document": ("select * from jsonb_populate_record(null::shop.contact, '{}')", "shop.is_email"),
    "cast": ("select 1::shop.mood", "shop.to_mood"),
    "column that is a function": ("select carts.size from shop.carts as carts", "public.size"),
    "cast that is asked for": ("select voice::text from shop.people", "shop.spell"),
    "cast of a domain": ("select cast(temper as text) from shop.people", "shop.spell"),
    "cast of what an array holds": ("select moods[1]::text from shop.people", "shop.spell"),
    "cast by a concatenation": ("select 'a' || voice from shop.people", "shop.spell"),
    "cast by a function": ("select quote_literal(voice) from shop.people", "shop.spell"),
    "cast to json of a row": ("select to_jsonb(p) from (select * from shop.people) as p", "shop.spell"),
    "cast to json of all rows": ("select json_agg(people) from shop.people", "shop.spell"),
    "cast in a view as it runs": ("select person from shop.crowd", "shop.spell"),
    "cast of what a function gives": ("select voice::text from shop.everybody()", "shop.spell"),
    "cast in a function of its argument": ("select shop.spelled(voice) from shop.people", "shop.spell"),
    "cast in a function for any type": ("select upper(voice) from shop.people", "shop.spell"),
    "cast of an argument that nobody asks for": ("select shop.likes(1)", "shop.to_grade"),
    "function of a value as its field": ("select (name).called from shop.carts", "public.called"),
    "function of an element as its field": ("select (array['a'])[1].called", "public.called"),
    "function of what a function gives": ("select g.called from unnest(array['a']) as g", "public.called"),
    "the same without a name": ("select unnest.called from unnest(array['a'])", "public.called"),
    "call by treat": ("select treat(0.3::float8 as pg_sleep)", "pg_sleep"),
    "call by treat with a schema": ("select treat((0.3::float8) as shop.pg_sleep)", "pg_sleep"),
    "function of a field as its field": ("select (carts).name.called from shop.carts", "public.called"),
    "function of a subquery as its field": ("select (select name from shop.carts).called", "public.called"),
    "function of who asks as a field": ("select g.known from current_user as g", "public.known"),
    "the same of its own name": ('select "current_user".known from current_user', "public.known"),
    "function of an argument as its field": ("select shop.call_it('a')", "public.called"),
    "function of a domain over a row": ("select (home).away from shop.homes", "public.away"),
    "domain in a row in a view": ("select contact from shop.contacts", "shop.is_email"),
    "call behind a query's columns": ("with a (b) as (select 1) select pg_sleep(b) from a", "pg_sleep"),
    "call beside a query of its name": ("with pg_sleep (a) as (select 1) select pg_sleep(a) from pg_sleep", "pg_sleep"),
    "call beside an alias of its name": ("select pg_sleep(a) from (values (1)) as pg_sleep (a)", "pg_sleep"),
    "call with columns and their types": ("select * from shop.carts, any_rows() as (a int)", "public.any_rows"),
    "column that is called values": ("select * from shop.carts, any_rows() as (values int)", "public.any_rows"),
    "call behind a quoted as": ('select 1 as "as", pg_sleep(1)', "pg_sleep"),
    "call behind a column as": ("select n.as, pg_sleep(1) from (select 1 as as) as n", "pg_sleep"),
    "call in the columns' query": ("with a (b) as (select pg_sleep(1)) select 1 from a", "pg_sleep"),
    "row that is an argument": ("select size(carts) from shop.carts as carts", "public.size"),
}

READS = {
    "time": "select now(), clock_timestamp(), current_timestamp, localtime, age(now()), extract(epoch from now())",
    "sets": "select * from generate_series(1, 2) as g, unnest(array[1]) as u, jsonb_array_elements('[1]') as j",
    "documents": "select jsonb_path_query('{}', '$'), to_jsonb(carts), jsonb_agg(id), "
    "'{}'::jsonb -> 'a' from shop.carts group by id, carts",
    "texts": "select regexp_replace('a', 'b', 'c'), 'a' ~ 'b', "
    "'a' similar to 'b', upper('a') like 'b', md5('a'), format('%s', 1)",
    "numbers": "select width_bucket(1, 1, 2, 1), random(), 1 / 2.0, greatest(1, "
    "2), sum(id) over (order by id) from shop.carts",
    "catalogue": "select pg_get_serial_sequence('shop.carts', 'id'), "
    "pg_relation_size('shop.carts'), current_setting('a.b', true)",
    "system views": "select count(*) from pg_stat_activity, pg_locks, pg_indexes, information_schema.columns",
    "sample": "select id from shop.carts tablesample bernoulli (10) repeatable (1)",
    "names in texts": "select 'pg_sleep(1)', $$nextval('a')$$, E'\\' pg_sleep(' /* pg_sleep(1) */ -- nextval(",
    "names of columns": "select carts.id as nextval, name as pg_sleep from shop.carts as carts",
    "aliases with columns": "select pid, x, y from (values (1)) as pg_terminate_backend (pid), "
    "unnest(array[1]) as setseed(x), generate_series(1, 2) with ordinality as nextval (y, z)",
    "queries with columns": "with pg_sleep (a) as (select 1), nextval (b) as materialized (select 2), "
    "lo_creat (c) as not materialized ((select 3)) select a, b, c from pg_sleep, nextval, lo_creat",
    "recursion with columns": "with recursive pg_sleep (a) as (values (1) union select a + 1 from pg_sleep where a < 3) "
    "select a from pg_sleep",
    "casts to text of other types": "select id::text, name::varchar, cast(now() as text) from shop.carts",
    "a table of a type with casts": "select id, voice, name from shop.people where id < 0 and voice = 'good' and id in (1)",
    "how many have a value of a type with casts": "select count(*), max(voice) from shop.people group by name",
    "a view beside a type with casts": "select id::text, name from shop.crowd_ids",
    "a column that has the name of a function": "select c.called from (select id as called from shop.carts) as c",
    "a function that says so": "select shop.reads()",
    "a function in SQL that only reads": "select shop.wraps_reads()",
    "a view that only reads": "select * from shop.reading",
}


@pytest.fixture(scope="module")
def shop(server: EmbeddedServer) -> Iterator[Target]:
    name = "test_reach"
    with closing(server.target.connect()) as admin:
        admin.execute(f"create database {name} template template0".encode())
        target = Target(server.target.url.set(database=name))
        with closing(target.connect()) as connection:
            connection.execute(OBJECTS.encode())
        yield target
        admin.execute(f"drop database {name} with (force)".encode())


def refusals(target: Target, texts: Mapping[str, str], trusted: tuple[str, ...] = ()) -> dict[str, str]:
    with target.open_snapshot(connections=1, timeout_s=30) as snapshot:
        return find_refusals(snapshot.sessions[0], texts, trusted)


def test_what_could_do_more_than_read_is_refused_by_its_name(shop: Target) -> None:
    refused = refusals(shop, {name: text for name, (text, _) in ACTS.items()})
    assert {name: named in refused.get(name, "") for name, (_, named) in ACTS.items()} == dict.fromkeys(ACTS, True)


@pytest.mark.parametrize("name", ["pg_input_is_valid", "pg_input_error_info"])
def test_what_converts_by_the_name_of_a_type_is_as_harmless_as_the_domains_are(
    shop: Target, make_database: Callable[..., Target], name: str
) -> None:
    query = {"valid": f"select {name}('a', 'date')"}
    with closing(shop.connect()) as connection:
        has_it = connection.info.server_version >= 160_000
        if has_it:
            connection.execute(
                f"create view shop.validity as select 1 as one where {name}('a', 'shop.email') is null".encode()
            )
            assert "shop.is_email" in refusals(shop, {"view": "select one from shop.validity"})["view"]
            connection.execute(b"drop view shop.validity")
    assert ("shop.is_email" in refusals(shop, query).get("valid", "")) is has_it
    assert refusals(make_database(), query) == {}


def test_what_only_reads_is_not_refused(shop: Target) -> None:
    assert refusals(shop, READS) == {}


def test_every_query_that_is_tried_here_is_one(shop: Target) -> None:
    """Otherwise it would be refused, or not, for nothing: the server knows all that they name."""
    with closing(shop.connect()) as connection:
        for text in (*READS.values(), *(text for text, _ in ACTS.values())):
            connection.execute(b"explain " + text.encode())


def test_none_of_what_is_delivered_is_refused(shop: Target, tmp_path: Path) -> None:
    project = Project(tmp_path, Settings())
    invariants, queries = load_invariants(project), load_queries(project)
    assert len(invariants) > 150
    assert refusals(shop, {name: file.numbered for name, file in {**invariants, **queries}.items()}) == {}


def test_a_function_that_is_trusted_is_called_and_what_it_calls_with_it(shop: Target) -> None:
    texts = {"own": "select shop.wraps_deeper()", "system": "select pg_sleep(0)", "other": "select shop.acts()"}
    assert list(refusals(shop, texts, ("shop.wraps_acts", "pg_catalog.pg_sleep"))) == ["other"]


def test_a_function_of_ones_own_is_looked_for_where_the_query_finds_it(make_database: Callable[..., Target]) -> None:
    """The same name is harmless in one schema and acts in another: the role's search path says which is called."""
    target = make_database()
    with closing(target.connect()) as connection:
        connection.execute(b"create schema mine; create schema theirs")
        connection.execute(b"create function mine.f() returns int stable language plpgsql as 'begin return 1; end'")
        connection.execute(b"create function theirs.f() returns int language plpgsql as 'begin return 1; end'")
        connection.execute(f"alter database {target.url.database} set search_path = mine".encode())
        assert refusals(target, {"f": "select f()"}) == {}
        connection.execute(f"alter database {target.url.database} set search_path = theirs".encode())
        assert "theirs.f" in refusals(target, {"f": "select f()"})["f"]


def test_an_invariant_that_acts_is_unknown_with_two_ways_on_and_changes_nothing(shop: Target) -> None:
    texts = {
        "acts": "-- title: t\nselect id from shop.carts where pg_create_physical_replication_slot('left_over') is null",
        "own": "-- title: t\nselect id from shop.carts where shop.acts() is null",
        "reads": "-- title: t\nselect id from shop.carts where shop.reads() is null",
    }
    files = [parse_sql_file(text, path=Path(f"{name}.sql"), name=name) for name, text in texts.items()]
    judged = {}
    for event in audit(shop, files, AuditSettings()):
        if isinstance(event, InvariantJudged):
            judged[event.finding.name] = event.finding
        else:
            assert isinstance(event, AuditStarted | AuditFinished)
    assert {name: finding.verdict for name, finding in judged.items()} == {
        "acts": Verdict.UNKNOWN,
        "own": Verdict.UNKNOWN,
        "reads": Verdict.HOLDS,
    }
    assert "alter function shop.acts() stable" in str(judged["own"].reason)
    assert '[audit] functions = ["shop.acts"]' in str(judged["own"].reason)
    with closing(shop.connect()) as connection:
        assert connection.execute(b"select slot_name from pg_replication_slots").fetchall() == []


@pytest.mark.parametrize("name", ['U&"\\D83D"', 'U&"\\0000"', '"\U0001f600"'])
def test_a_name_that_the_server_cannot_take_is_the_fault_of_its_text_alone(latin: Target, name: str) -> None:
    texts = {f"reads {number}": "select lower('A')" for number in range(5)}
    refused = refusals(latin, {"acts": "select pg_sleep(0)", **texts, "odd": f"select 1 as {name}"})
    assert "cannot be looked up" in refused.pop("odd")
    assert (list(refused), "pg_sleep" in refused["acts"]) == (["acts"], True)


def test_what_a_file_says_of_itself_need_not_be_in_the_encoding_of_the_database(latin: Target) -> None:
    text = "-- title: Käufe 日 日本\nselect 'Käufe' as sold /* 日 */, nope -- 日"
    file = parse_sql_file(text, path=Path("sold.sql"), name="sold")
    (event,) = (event for event in audit(latin, [file], AuditSettings()) if isinstance(event, InvariantJudged))
    assert event.finding.reason.startswith("sold.sql:2: column \"nope\" does not exist\n  2 | select 'Käufe'")
    file = parse_sql_file(text.replace(", nope", ""), path=Path("sold.sql"), name="sold")
    (event,) = (event for event in audit(latin, [file], AuditSettings()) if isinstance(event, InvariantJudged))
    assert (event.finding.verdict, list(event.finding.rows)) == (Verdict.VIOLATED, [{"sold": "Käufe"}])


@pytest.fixture(scope="module")
def latin(server: EmbeddedServer) -> Iterator[Target]:
    """A database that has no character beyond Latin-1."""
    name = "test_reach_latin"
    with closing(server.target.connect()) as admin:
        admin.execute(f"create database {name} template template0 encoding latin1 locale 'C'".encode())
        yield Target(server.target.url.set(database=name))
        admin.execute(f"drop database {name} with (force)".encode())


def test_what_goes_wrong_with_looking_into_one_text_is_its_refusal_alone(
    shop: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(text: str) -> frozenset[Mention]:
        if "id" in text:
            raise RuntimeError("no such thing")
        return mentions_in(text)

    monkeypatch.setattr("integrity.engines.postgresql.reach.mentions_in", stumble)
    texts = {"a": "select 1 as one", "b": "select id from shop.carts", "c": "select 2 as two"}
    assert refusals(shop, texts) == {
        "b": "not asked, as what it calls cannot be looked up: an error of integrity's own: RuntimeError: no such thing"
    }


def test_a_locked_table_costs_what_calls_a_function_over_it_and_nothing_else(database: Target) -> None:
    with closing(database.connect()) as changing:
        changing.execute(
            b"create table carts (id int); create table drawers (id int); create view shut as select id from drawers;"
            b"create function inside() returns bigint stable language sql begin atomic select count(*) from carts; end;"
            b"create function outside() returns bigint stable language sql begin atomic select count(*) from drawers; end"
        )
        changing.execute(b"begin")
        changing.execute(b"alter table carts add name text")
        texts = {"locked": "select inside()", "function": "select outside()", "view": "select 1 from shut"}
        refused = refusals(database, texts)
        changing.execute(b"rollback")
    assert list(refused) == ["locked"]
    assert "public.inside, which cannot be looked into: another session locks what it reads" in refused["locked"]


def test_an_operator_that_acts_is_found_where_a_query_uses_it_without_naming_it(
    make_database: Callable[..., Target],
) -> None:
    target = make_database()
    with closing(target.connect()) as connection:
        connection.execute(
            b"create function public.same(text, integer) returns boolean language plpgsql as 'begin return true; end'"
        )
        connection.execute(b"create operator public.= (function = public.same, leftarg = text, rightarg = integer)")
    assert "public.same" in refusals(target, {"in": "select 1 where 'a'::text in (1, 2)"})["in"]


def test_the_role_to_audit_with_is_named_and_can_be_taken_on(
    shop: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "invariants").mkdir()
    (tmp_path / "invariants/carts.sql").write_text("-- title: t\nselect id from shop.carts where id < 0")
    with closing(shop.connect()) as connection:
        connection.execute(
            b"create role boss login superuser; create role auditor_of_shop login; create role nobody_of_shop login"
        )
        connection.execute(b"grant pg_read_all_data to auditor_of_shop")
    boss = Target(shop.url.set(username="boss"))

    def validate(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["validate", "--select", "carts", "--json", "--database", boss.text, *words])
        printed = capfd.readouterr()
        return int(str(ended.value.code)), printed.out, printed.err

    code, out, _ = validate()
    assert (code, "asked as boss, a superuser" in json.loads(out)["caution"]) == (0, True)
    code, out, _ = validate("--as", "auditor_of_shop")
    assert (code, json.loads(out)["caution"]) == (0, "")
    code, out, _ = validate("--as", "nobody_of_shop")
    assert (code, "permission denied" in json.loads(out)["invariants"][0]["reason"]) == (3, True)
    code, _, err = validate("--as", "no_such_role")
    assert (code, 'role "no_such_role" does not exist' in err) == (2, True)
    assert 'hint: Make it: create role "no_such_role"\n' in err
    reader = Target(shop.url.set(username="auditor_of_shop"))
    code, _, err = validate("--as", "nobody_of_shop", "--database", reader.text)
    assert (code, 'permission denied to set role "nobody_of_shop"' in err) == (2, True)
    assert 'hint: Let who connects take it on: grant "nobody_of_shop" to "auditor_of_shop"\n' in err
    code, _, err = validate("--as", "none")
    assert (code, "--as 'none': no role has this name" in err) == (2, True)


@pytest.mark.parametrize("call", ["load_extension('x')", "LOAD_EXTENSION('x')", "fts3_tokenizer('simple')"])
def test_sqlite_reads_tables_and_nothing_else(tmp_path: Path, call: str) -> None:
    target = Target.parse(f"sqlite:///{tmp_path}/shop.db")
    with closing(target.connect_sqlite()) as connection:
        connection.execute("create table carts (id integer)")
    with (
        target.open_snapshot(connections=1, timeout_s=30) as snapshot,
        pytest.raises(QueryFailed, match="not authorized to use function"),
    ):
        snapshot.sessions[0].read(f"select {call}")


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("select a=-1", Mention(TokenUse.OPERATOR, "", "=")),
        ("select a != 1", Mention(TokenUse.OPERATOR, "", "<>")),
        ("select 1from f(2)", Mention(TokenUse.CALL, "", "f")),
        ("select /* /* */ g( */ h(1)", Mention(TokenUse.CALL, "", "h")),
        ("select 'it''s' || f(1)", Mention(TokenUse.CALL, "", "f")),
        ("select $a$ $$ $a$ || f(1)", Mention(TokenUse.CALL, "", "f")),
        ('select "a""b".F(1)', Mention(TokenUse.CALL, 'a"b', "f")),
        ("select x::a.b", Mention(TokenUse.TYPE, "a", "b")),
        (f"select {'n' * 70}(1)", Mention(TokenUse.CALL, "", "n" * 63)),
    ],
)
def test_names_are_read_as_the_server_reads_them(text: str, mention: Mention) -> None:
    assert mention in mentions_in(text)
