"""Health of a target: every check is seen to be right, and to fail on what it is there for."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from integrity.database.constraints import plant, restore
from integrity.database.namespace import create_schemas, guard, inspect_database
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import SeedError
from integrity.health import before, btree
from integrity.health.after import check_after
from integrity.health.before import check_before
from integrity.health.check import Health, HealthCheck, worst
from integrity.health.systems import ProfileNeeds
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system

NEEDS = {"ghostpass": {"smoke": ProfileNeeds(8), "pilot": ProfileNeeds(50, {"gateways": 2})}}
MakeDatabase = Callable[[str | None], Target]


@pytest.fixture(scope="module")
def template(server: EmbeddedServer) -> Iterator[str]:
    """The name of a seeded database."""
    name = "test_health_template"
    with closing(server.target.connect()) as admin:
        admin.execute(f"create database {name}".encode())
        seed(Target(server.target.url.set(database=name)))
        yield name
        admin.execute(f"drop database {name}".encode())


@pytest.fixture
def venue(template: str, make_database: MakeDatabase) -> Target:
    """A seeded venue."""
    return make_database(template)


def seed(target: Target) -> Target:
    seed_system(target, guard(target, None), GHOSTPASS, sizes={"wallets": 200}, seed=1, mode=Mode.NEW)
    return target


def execute(target: Target, *statements: str) -> None:
    with closing(target.connect()) as session:
        for statement in statements:
            session.execute(statement.encode())


def look(target: Target, *, is_required: bool = True) -> dict[str, HealthCheck]:
    return by_name(check_before(target, [GHOSTPASS], NEEDS, is_required=is_required))


def look_after(target: Target, folder: Path) -> dict[str, HealthCheck]:
    return by_name(check_after(target, [GHOSTPASS], Project(folder, Settings())))


def by_name(checks: Sequence[HealthCheck]) -> dict[str, HealthCheck]:
    return {check.name: check for check in checks}


def unhealthy(checks: dict[str, HealthCheck]) -> dict[str, Health]:
    return {name: check.state for name, check in checks.items() if check.state is not Health.OK}


def test_a_seeded_venue_is_healthy_but_for_the_settings_of_a_throwaway_server(venue: Target) -> None:
    checks = look(venue)
    assert unhealthy(checks) == {"durability": Health.WARNING}
    assert checks["durability"].found.startswith("fsync is off, full_page_writes is off: what was acknowledged can be lost")
    assert checks["reachable"].found.startswith(f"{venue} answered in ")
    assert checks["version"].found.startswith("PostgreSQL 18")
    assert "200 wallets" in checks["ghostpass: rows"].found
    assert "no profile asks for more than 50" in checks["ghostpass: connections"].found
    assert "GB free" in checks["free disk"].found
    assert "a full sample takes" in checks["monitoring"].found


def test_the_clock_of_the_same_machine_is_right(venue: Target) -> None:
    found = look(venue)["clock"]
    assert found.state is Health.OK
    assert found.found.startswith("the server's is 0.") or found.found.startswith("the server's is 1."), "milliseconds"


@pytest.mark.parametrize(
    ("offset_s", "state"), [(0.0, Health.OK), (-2.0, Health.WARNING), (2.0, Health.WARNING), (100.0, Health.FAILED)]
)
def test_a_clock_that_goes_wrong_is_measured(
    venue: Target, monkeypatch: pytest.MonkeyPatch, offset_s: float, state: Health
) -> None:
    """Ours is set wrong, which is the same to look at as the server's."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - offset_s)
    found = look(venue)["clock"]
    assert found.state is state
    if offset_s:
        assert ("ahead of" if offset_s > 0 else "behind") in found.found
        assert abs(float(found.found.split(" is ")[1].split(" ms")[0]) - abs(offset_s) * 1000) < 100


@pytest.mark.parametrize(
    ("statement", "name", "state", "words"),
    [
        ("drop table ghostpass.splits", "ghostpass: tables", Health.FAILED, "1 of 11 are missing: splits"),
        (
            "drop index ghostpass.entries_wallet_id_idx",
            "ghostpass: indexes",
            Health.FAILED,
            "entries.entries_wallet_id_idx",
        ),
        (
            "alter table ghostpass.wallets drop constraint wallets_balance_not_negative",
            "ghostpass: indexes",
            Health.FAILED,
            "wallets.wallets_balance_not_negative",
        ),
        (
            "update pg_index set indisvalid = false where indexrelid = 'ghostpass.entries_wallet_id_idx'::regclass",
            "valid indexes",
            Health.FAILED,
            "1 not valid: ghostpass.entries_wallet_id_idx",
        ),
        ("create table public.precious ()", "other tables", Health.WARNING, "public.precious"),
        (
            "update integrity.notes set value = '201' where key = 'wallets:ghostpass'",
            "ghostpass: rows",
            Health.FAILED,
            "200 wallets of 201",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_or_broken_is_named(venue: Target, statement: str, name: str, state: Health, words: str) -> None:
    execute(venue, statement)
    found = look(venue)[name]
    assert (found.state, words in found.found) == (state, True), found
    assert found.hint


def test_tables_of_others_are_in_no_runs_way_where_the_database_is_declared_and_else_it_is_said_what_to_declare(
    venue: Target,
) -> None:
    execute(venue, "create table public.precious ()")
    name = inspect_database(venue).name
    for declared, state in ((name, Health.OK), ("elsewhere", Health.WARNING), (None, Health.WARNING)):
        looked = by_name(check_before(venue, [GHOSTPASS], NEEDS, is_required=True, test_database=declared))["other tables"]
        assert (looked.state, "public.precious" in looked.found) == (state, True), declared
        assert (declared == name) == (looked.hint == "")
        assert ("it names 'elsewhere'" in looked.hint) == (declared == "elsewhere")


def test_what_a_planted_bug_leaves_out_is_a_warning_that_names_it(venue: Target) -> None:
    execute(
        venue,
        "alter table ghostpass.webhook_events drop constraint webhook_events_event_id_key",
        "insert into integrity.notes values ('bug:ghostpass', 'double_credit')",
    )
    found = look(venue)["ghostpass: indexes"]
    assert found.state is Health.WARNING
    assert "as bug double_credit leaves them out: webhook_events.webhook_events_event_id_key" in found.found


def test_what_a_bug_let_in_that_no_sound_run_could_begin_on_is_a_failure_as_it_is_for_a_run(venue: Target) -> None:
    plant(venue, GHOSTPASS, ("wallets.wallets_balance_not_negative",), bug="overdraw")
    made_again = look(venue)["ghostpass: indexes"]
    execute(venue, "update ghostpass.wallets set balance_minor = -1 where id = 3")
    broken = look(venue)["ghostpass: indexes"]

    assert made_again.state is Health.WARNING
    assert made_again.hint == "integrity run smoke --system ghostpass, without --bug, makes them again."
    assert broken.state is Health.FAILED
    assert "rows that came in meanwhile do not allow wallets.wallets_balance_not_negative any more" in broken.found
    assert broken.hint == "Make the data anew: integrity seed --system ghostpass --replace"
    with pytest.raises(SeedError, match="bug 'overdraw' has broken the data of ghostpass"):
        restore(venue, GHOSTPASS)


def test_keys_that_a_profile_draws_from_and_that_are_not_there_are_named(venue: Target) -> None:
    needs = {"ghostpass": {"smoke": ProfileNeeds(8), "pilot": ProfileNeeds(50, {"gateways": 3})}}
    few = by_name(check_before(venue, [GHOSTPASS], needs, is_required=True))["ghostpass: keys"]
    for_none = {"ghostpass": {"pilot": needs["ghostpass"]["pilot"]}}
    none = by_name(check_before(venue, [GHOSTPASS], for_none, is_required=True))["ghostpass: keys"]

    assert "ghostpass: keys" not in look(venue), "as many as are asked for"
    assert (few.state, few.found) == (Health.WARNING, "2 gateways, too few for pilot")
    assert none.state is Health.FAILED


@pytest.mark.parametrize(
    ("statements", "state", "statement"),
    [
        (
            ("create table held (a int)", "alter table held add constraint held_a check (a > 0) not valid"),
            "not validated: public.held (held_a)",
            "alter table public.held validate constraint held_a",
        ),
        (
            ("create table held (a int)", "alter table held add constraint held_a not null a not valid"),
            "not validated: public.held (held_a)",
            "alter table public.held validate constraint held_a",
        ),
        (
            (
                "create table parents (id int primary key)",
                'create table "Held" (a int constraint held_a references parents not enforced)',
            ),
            'not enforced: public."Held" (held_a)',
            'alter table public."Held" alter constraint held_a enforced',
        ),
        (
            ("create table held (a int constraint held_a check (a > 0) not enforced)",),
            "not enforced: public.held (held_a)",
            "alter table public.held drop constraint held_a, add constraint held_a CHECK ((a > 0))",
        ),
        (
            (
                "create table parents (id int primary key)",
                "create table held (a int constraint held_a references parents on delete cascade)",
                "alter table parents disable trigger all",
            ),
            "its triggers are switched off: public.held (held_a)",
            "alter table public.parents enable trigger all; alter table public.held drop constraint held_a, "
            "add constraint held_a FOREIGN KEY (a) REFERENCES public.parents(id) ON DELETE CASCADE",
        ),
        (
            ("create domain held as int", "alter domain held add constraint held_a check (value > 0) not valid"),
            "not validated: public.held (held_a)",
            "alter domain public.held validate constraint held_a",
        ),
    ],
)
def test_a_constraint_that_rows_need_not_keep_is_named_and_what_is_advised_makes_it_one_that_they_keep(
    database: Target, statements: Sequence[str], state: str, statement: str
) -> None:
    execute(database, *statements)
    found = look(database, is_required=False)["valid constraints"]
    assert (found.state, found.found, found.hint) == (Health.WARNING, state, statement)
    execute(database, *found.hint.split("; "))
    assert look(database, is_required=False)["valid constraints"].state is Health.OK


def test_an_index_that_lacks_what_its_table_has_is_corrupt_and_amcheck_is_not_left_behind(database: Target) -> None:
    """A function that said it never changes did: the index has what it said before."""
    execute(
        database,
        "create function turned(int) returns int immutable language sql as 'select $1'",
        "create table orders (id int primary key)",
        "insert into orders select generate_series(1, 100)",
        "create index orders_turned on orders (turned(id))",
    )
    assert look(database, is_required=False)["index structure"].found == "2 btree indexes in order and complete"
    execute(database, "create or replace function turned(int) returns int immutable language sql as 'select -$1'")
    found = look(database, is_required=False)["index structure"]
    assert found.state is Health.FAILED
    assert found.found.startswith('1 corrupt: public.orders_turned (heap tuple (0,1) from table "orders" lacks matching')
    assert found.found.endswith("; 1 btree index in order and complete")
    with closing(database.connect()) as session:
        assert session.execute("select from pg_extension where extname = 'amcheck'").fetchall() == []


def test_what_amcheck_could_not_be_asked_is_no_pass_and_says_what_lets_it_be_asked(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"looker_{database.url.database}"
    looker = Target(database.url.set(username=role))
    execute(database, "create table orders (id int primary key)", f"create role {role} login")

    def structure(target: Target) -> tuple[Health, str]:
        found = look(target, is_required=False)["index structure"]
        return found.state, f"{found.found}; {found.hint}"

    try:
        state, said = structure(looker)
        assert (state, "is not installed in this database; As a superuser: create" in said) == (Health.WARNING, True), said
        execute(database, "create extension amcheck schema public")
        state, said = structure(looker)
        assert state is Health.WARNING
        execute(database, said.rpartition("; ")[2])  # the grant that is advised
        assert structure(looker)[0] is Health.OK
        with closing(database.connect()) as session, session.transaction():
            session.execute("lock table orders in access exclusive mode")
            state, said = structure(database)
            assert (state, said.count("public.orders_pkey (canceling statement due to lock timeout)")) == (
                Health.WARNING,
                1,
            )
        monkeypatch.setattr(btree, "TIME_MOST_S", 0.0)
        state, said = structure(database)
        assert (state, "1 not looked at: public.orders_pkey (no time left)" in said) == (Health.WARNING, True), said
    finally:
        execute(database, f"drop owned by {role}", f"drop role {role}")


def test_a_foreign_key_of_a_large_table_wants_an_index_in_whatever_order_its_columns_are(database: Target) -> None:
    execute(
        database,
        "create table parents (a int, b int, primary key (a, b))",
        "insert into parents values (1, 1)",
        "create table children (id bigint primary key, a int, b int, "
        "constraint family foreign key (a, b) references parents)",
        "insert into children select number, 1, 1 from generate_series(1, 10000) as number",
        "analyze",
    )
    found = look(database, is_required=False)["foreign keys"]
    assert found.state is Health.WARNING
    assert "public.children (family)" in found.found
    for useless in (
        "create index on children (b)",
        "create index on children (id, a, b)",
        "create index on children (a, b) where id = 1",
    ):
        execute(database, useless)
        assert look(database, is_required=False)["foreign keys"].state is Health.WARNING, useless
    execute(database, "create index on children (b, a, id)")
    assert look(database, is_required=False)["foreign keys"].state is Health.OK


def test_a_database_without_a_system_of_ours_is_a_warning_unless_it_was_asked_for(database: Target) -> None:
    assert look(database, is_required=False)["seeded"].state is Health.WARNING
    found = look(database)["ghostpass"]
    assert (found.state, found.hint) == (Health.FAILED, "integrity seed --system ghostpass")


def test_too_few_connections_name_the_profiles_that_will_not_fit(venue: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    few = check_before(
        venue, [GHOSTPASS], {"ghostpass": {"smoke": ProfileNeeds(8), "pilot": ProfileNeeds(500)}}, is_required=True
    )
    assert by_name(few)["ghostpass: connections"].state is Health.WARNING
    assert "pilot asks for 500" in by_name(few)["ghostpass: connections"].found
    none = check_before(venue, [GHOSTPASS], {"ghostpass": {"pilot": ProfileNeeds(500)}}, is_required=True)
    assert by_name(none)["ghostpass: connections"].state is Health.FAILED


def test_a_disk_that_fills_up_is_told_before_it_is_full(venue: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before, "FREE_BYTES_WARN", 10**18)
    assert look(venue)["free disk"].state is Health.WARNING
    monkeypatch.setattr(before, "FREE_BYTES_LEAST", 10**18)
    assert look(venue)["free disk"].state is Health.FAILED


def test_a_role_that_may_only_read_is_fit_to_audit(venue: Target) -> None:
    execute(venue, "drop role if exists reader", "create role reader login", "grant usage on schema integrity to reader")
    execute(venue, "grant select on all tables in schema integrity to reader")
    execute(venue, "grant usage on schema ghostpass to reader", "grant select on all tables in schema ghostpass to reader")
    try:
        checks = look(Target(venue.url.set(username="reader")))
        assert worst(list(checks.values())) is not Health.FAILED
        assert checks["rights"].state is Health.OK
        assert "may not create schemas here: it can audit; seeding needs" in checks["rights"].found
        assert "free disk" not in checks, "it may not know where the server's files are"
        execute(venue, f"grant create on database {venue.url.database} to reader")
        assert look(Target(venue.url.set(username="reader")))["rights"].state is Health.WARNING
    finally:
        execute(venue, "drop owned by reader", "drop role reader")


def test_a_role_that_may_not_read_our_books_is_told_what_was_not_looked_at(venue: Target, tmp_path: Path) -> None:
    execute(
        venue, "drop role if exists outsider", "create role outsider login", "grant usage on schema ghostpass to outsider"
    )
    execute(venue, "grant select on all tables in schema ghostpass to outsider")
    try:
        outsider = Target(venue.url.set(username="outsider"))
        before, after = look(outsider), look_after(outsider, tmp_path)
        for checks in (before, after):
            assert checks["contents"].state is Health.WARNING
            assert checks["contents"].found.endswith("permission denied for schema integrity")
        assert {"reachable", "clock", "valid indexes"} <= before.keys()
        assert "blocked" in after
    finally:
        execute(venue, "drop owned by outsider", "drop role outsider")


def test_a_server_that_writes_nothing_can_be_audited(venue: Target) -> None:
    execute(venue, f"alter database {venue.url.database} set default_transaction_read_only = on")
    found = look(venue)["rights"]
    assert found.state is Health.OK
    assert "transactions are read only: it can audit" in found.found


def test_nobody_there_is_one_failed_check_without_the_password() -> None:
    checks = check_before(Target.parse("postgresql://x:hunter2@127.0.0.1:1/y"), [], {}, is_required=False)
    assert [(check.name, check.state) for check in checks] == [("reachable", Health.FAILED)]
    assert "127.0.0.1" in checks[0].found
    assert "hunter2" not in checks[0].found + checks[0].hint
    assert worst(checks) is Health.FAILED
    assert worst([]) is Health.FAILED, "nothing was looked at"


def test_sqlite_is_checked_for_what_it_has(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    assert unhealthy(look(target)) == {"reachable": Health.FAILED}
    seed(target)
    checks = look(target)
    assert unhealthy(checks) == {}
    assert set(checks) >= {
        "reachable",
        "version",
        "free disk",
        "ghostpass: tables",
        "ghostpass: indexes",
        "ghostpass: rows",
    }
    with closing(target.connect_sqlite(("ghostpass",))) as connection:
        connection.execute("drop index ghostpass.entries_wallet_id_idx")
    assert unhealthy(look(target)) == {"ghostpass: indexes": Health.FAILED}
    assert unhealthy(look_after(target, tmp_path)) == {}


def test_afterwards_nothing_is_left_open(venue: Target, tmp_path: Path) -> None:
    checks = look_after(venue, tmp_path)
    assert unhealthy(checks) == {}
    assert checks["ghostpass: last 10 minutes"].found == "no rows", "the seeded day is past"
    execute(venue, "insert into ghostpass.wallets (code) values ('new')")
    assert look_after(venue, tmp_path)["ghostpass: last 10 minutes"].found == "wallets 1"


def test_afterwards_an_idle_transaction_and_who_waits_for_it_are_named(
    venue: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrity.health.after.IDLE_S_MOST", 0.0)
    with closing(venue.connect(application_name="holder")) as holder:
        holder.execute("begin")
        holder.execute("update ghostpass.wallets set balance_minor = 0 where id = 1")

        def wait() -> None:
            with closing(venue.connect(application_name="waiter")) as waiter:
                waiter.execute("update ghostpass.wallets set balance_minor = 0 where id = 1")

        thread = threading.Thread(target=wait)
        thread.start()
        with closing(venue.connect()) as watcher:
            while not watcher.execute("select 1 from pg_stat_activity where wait_event_type = 'Lock'").fetchone():
                continue
        checks = look_after(venue, tmp_path)
        holder.execute("rollback")
        thread.join()
    assert unhealthy(checks) == {"idle in transaction": Health.WARNING, "blocked": Health.WARNING}
    assert checks["idle in transaction"].found.startswith("holder (pid ")
    assert "pg_terminate_backend(" in checks["idle in transaction"].hint
    assert checks["blocked"].found.startswith("waiter (pid ")


def test_afterwards_what_a_role_may_not_see_is_not_called_right(venue: Target, tmp_path: Path) -> None:
    execute(venue, "drop role if exists health_blind", "create role health_blind login in role pg_read_all_data")
    blind = Target(venue.url.set(username="health_blind"))
    with closing(venue.connect()) as holder:
        holder.execute("begin; update ghostpass.wallets set balance_minor = 1 where id = 1")
        checks = look_after(blind, tmp_path)
    assert unhealthy(checks) == {"sessions": Health.WARNING}
    assert re.match(r"\d+ of other roles hide what they do", checks["sessions"].found)
    assert checks["blocked"].found == "nobody of those that this role sees waits for a lock"


def test_afterwards_a_long_transaction_is_named(venue: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrity.health.after.LONG_S", 0.0)
    with closing(venue.connect(application_name="reporter")) as reporter:
        reporter.execute("begin")
        reporter.execute("select 1")
        assert unhealthy(look_after(venue, tmp_path)) == {"long transactions": Health.WARNING}


def test_afterwards_a_prepared_transaction_is_named(tmp_path: Path) -> None:
    own = EmbeddedServer(tmp_path / "postgres", settings={"max_prepared_transactions": "2", "fsync": "off"})
    target = own.start()
    try:
        with closing(target.connect()) as session:
            session.execute("create table wallets (id bigint)")
            session.execute("begin")
            session.execute("insert into wallets values (1)")
            session.execute("prepare transaction 'forgotten'")
        found = look_after(target, tmp_path)["prepared transactions"]
    finally:
        own.reset()
    assert found.state is Health.WARNING
    assert "'forgotten' of integrity" in found.found
    assert found.hint == "To end one: rollback prepared 'forgotten'"


def test_afterwards_a_run_that_was_killed_is_named(venue: Target, tmp_path: Path) -> None:
    execute(
        venue,
        "insert into integrity.runs (run_id, system, profile, seed, started_at, state) "
        "values ('20260101-000000-x', 'ghostpass', 'smoke', 1, now(), 'running')",
    )
    found = look_after(venue, tmp_path)["runs"]
    assert found.state is Health.WARNING
    assert found.found.startswith("1 noted as running, and not alive in ")


def health(*words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "integrity", "health", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)


def test_the_command_prints_a_line_a_check_and_exits_with_3_when_one_failed(venue: Target, tmp_path: Path) -> None:
    fit = health("--database", venue.text, folder=tmp_path)
    assert fit.returncode == 0, fit.stderr
    assert fit.stdout.splitlines()[-1].startswith("healthy, with warnings: ")
    assert "hint: Switch it on" in fit.stdout
    execute(venue, "drop table ghostpass.splits")
    unfit = health("--database", venue.text, "--json", folder=tmp_path)
    assert unfit.returncode == 3
    said = json.loads(unfit.stdout)
    assert said["state"] == "failed"
    assert [check["name"] for check in said["checks"] if check["state"] == "failed"] == ["ghostpass: tables"]
    after = health("--database", venue.text, "--after", folder=tmp_path)
    assert after.returncode == 0
    assert "idle in transaction" in after.stdout


def test_bad_input_is_told(tmp_path: Path) -> None:
    refused = health("--system", "nosuch", folder=tmp_path)
    assert refused.returncode == 2
    assert "unknown system 'nosuch'" in refused.stderr
    away = health("--database", "postgresql://x@127.0.0.1:1/y", folder=tmp_path)
    assert (away.returncode, away.stderr) == (3, "")
    assert "failed   reachable  cannot connect to" in away.stdout


def test_schemas_without_seed_are_not_taken_for_a_seeded_system(database: Target) -> None:
    create_schemas(database, [GHOSTPASS])
    assert look(database)["ghostpass"].state is Health.FAILED
