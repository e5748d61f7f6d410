"""What a call changes in its session, beyond its transactions, is gone in the next schedule."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.operation import Ok, Rows, Statement, Steps
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Actor, Keys, Program
from integrity.systems.stage import Stage
from tests.detection.race_tables import new_database

COUNT_SEEN = "select count(*) as n from pg_class where relname = 'seen'"
STATE = {
    "temporary table": (
        "create temporary table seen (id int)",
        "select count(*) as n from pg_class where relname = 'seen'",
    ),
    "temporary table of a query": ("create temp table seen as select 1 as id", COUNT_SEEN),
    "prepared statement": (
        "prepare mine as select 1",
        "select count(*) as n from pg_prepared_statements where name = 'mine'",
    ),
    "setting": ("set work_mem = '64MB'", "select current_setting('work_mem') as n"),
    "setting by a function": (
        "select set_config('search_path', 'elsewhere', false)",
        "select current_setting('search_path') as n",
    ),
    "setting of ours": ("set plan_cache_mode = auto", "select current_setting('plan_cache_mode') as n"),
    "setting within a function of the database": ("select remember()", "select current_setting('work_mem') as n"),
    "role": ("set role pg_monitor", "select current_user as n"),
    "advisory lock": (
        "select pg_advisory_lock(7)",
        "select count(*) as n from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    ),
    "listening": ("listen news", "select count(*) as n from pg_listening_channels()"),
    "cursor": ("declare held cursor with hold for select 1", "select count(*) as n from pg_cursors where name = 'held'"),
}
FUNCTION = """
create function remember() returns void language plpgsql as $$ begin perform set_config('work_mem', '65MB', false); end $$
"""


def look_and_leave(leave: str, look: str) -> Program:
    """Return a program of one call that tells what it finds and then changes it."""

    def steps(_keys: Keys, _operation_id: UUID) -> Steps:
        before: Rows = yield Statement(look)
        yield Statement(leave)
        after: Rows = yield Statement(look)
        return Ok({"before": before[0]["n"], "after": after[0]["n"]})

    return Program((Actor("call", steps),), lambda: Stage([], {}))


def found(scheduler: Scheduler, program: Program) -> tuple[object, object]:
    returned = scheduler.play(program).trace.returns["A"]
    assert isinstance(returned, Ok), returned
    return returned.value["before"], returned.value["after"]


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Iterator[Target]:
    with new_database(server.target) as database:
        yield database


@pytest.mark.parametrize("kind", STATE)
def test_what_a_call_changed_in_its_session_is_gone_in_the_next_schedule(database: Target, kind: str) -> None:
    leave, look = STATE[kind]
    if "function of the database" in kind:
        with database.connect() as connection:
            connection.execute(FUNCTION)
    with Scheduler(database) as scheduler:
        program = look_and_leave(leave, look)
        before, after = found(scheduler, program)
        assert before != after, "else the test shows nothing"
        assert [found(scheduler, program) for _ in range(2)] == [(before, after)] * 2


def test_a_temporary_table_of_sqlite_is_gone_in_the_next_schedule(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path / 'file.sqlite3'}")
    with closing(target.connect_sqlite()) as connection:
        connection.execute("create table t (id integer primary key)")
    program = look_and_leave(
        "create temporary table seen (id int)", "select count(*) as n from sqlite_temp_master where name = 'seen'"
    )
    with Scheduler(target) as scheduler:
        assert [found(scheduler, program) for _ in range(2)] == [(0, 1)] * 2
