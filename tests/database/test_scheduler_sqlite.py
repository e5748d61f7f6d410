"""The scheduler on SQLite: a lock wait is a wait, a refusal is an outcome, and the same schedule gives the same trace."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.operation import Begin, Commit, Isolation, Ok, Rollback, Rows, Statement, StatementFailed, Step, Steps
from integrity.race.play.footprint import Footprint, is_dependent
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Actor, Keys, Program
from integrity.race.program.schedule import ScheduleError
from integrity.race.program.trace import Failed, StepPhase
from integrity.systems.stage import Ref, Stage, StagedRow

SCHEMA = """
create table boxes (
    id integer primary key autoincrement, n bigint not null, name text unique,
    made_at text not null default current_timestamp
);
create table others (n bigint not null);
insert into sqlite_sequence values ('boxes', 1000000);
"""

MakeFile = Callable[[str], Target]


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    def make(journal_mode: str) -> Target:
        target = Target.parse(f"sqlite:///{tmp_path}/boxes.db")
        with closing(target.connect_sqlite()) as connection:
            connection.execute(f"pragma journal_mode = {journal_mode}")
            connection.executescript(SCHEMA)
        return target

    return make


@pytest.fixture(params=["wal", "delete"])
def scheduler(make_file: MakeFile, request: pytest.FixtureRequest) -> Iterator[Scheduler]:
    with Scheduler(make_file(request.param), letter_seconds_max=3) as scheduler:
        yield scheduler


@pytest.fixture
def delete_mode(make_file: MakeFile) -> Iterator[Scheduler]:
    with Scheduler(make_file("delete")) as scheduler:
        yield scheduler


def stage() -> Stage:
    names = ("first", "second", "third")
    return Stage([StagedRow(name, "boxes", {"n": 0}) for name in names], {name: Ref(name) for name in names})


def steps(*given: Step) -> Actor:
    """Return an actor that takes these steps and tells what it read."""

    def call(keys: Keys, _operation_id: UUID) -> Steps:
        seen: list[Any] = []
        for step in given:
            if isinstance(step, Statement):
                rows: Rows = yield Statement(step.sql, keys)
                seen += [row["n"] for row in rows]
            else:
                yield step
        return Ok({"seen": " ".join(map(str, seen))})

    return Actor("steps", call)


READ = Statement("select n from boxes where id = :first")
READ_OTHER = Statement("select n from boxes where id = :second")
ADD = Statement("update boxes set n = n + 1 where id = :first returning n")
ENDLESS = Statement("with recursive t (n) as (select 1 union all select n + 1 from t) select sum(n) as n from t")
ADD_OTHER = Statement("update boxes set n = n + 1 where id = :second returning n")


def program(*actors: Actor, is_deferred: bool = False) -> Program:
    return Program(actors, stage, is_deferred=is_deferred)


def happened(run: PlayedSchedule) -> list[str]:
    """Return what each actor did, e.g. "B waits for A", "A update", "B 40001"."""
    lines = []
    for event in run.trace.events:
        what = f"waits for {event.waits_for}" if event.phase is StepPhase.WAITS else event.sql.split()[0]
        lines.append(f"{event.actor} {event.refusal.message if event.refusal else what}")
    return lines


def test_a_transaction_that_begins_with_the_lock_makes_the_next_one_wait_for_its_end(scheduler: Scheduler) -> None:
    both = program(*[steps(Begin(), READ, ADD, Commit())] * 2)
    run = scheduler.play(both, "AB")
    assert happened(run) == [
        "A select", "B waits for A", "A update", "A commit", "B select", "B update", "B commit",
    ]  # fmt: skip
    assert run.letters == "ABAABB"
    assert run.trace.returns == {"A": Ok({"seen": "0 1"}), "B": Ok({"seen": "1 2"})}


def test_who_waits_cannot_be_chosen(scheduler: Scheduler) -> None:
    both = program(*[steps(Begin(), READ, ADD, Commit())] * 2)
    with pytest.raises(ScheduleError, match="letter 3 is 'B', and B waits for a lock of A there"):
        scheduler.play(both, "ABB")


def test_the_lock_is_let_go_by_a_rollback_and_by_a_call_that_ends_without_a_commit(scheduler: Scheduler) -> None:
    for end in ((Rollback(),), ()):
        run = scheduler.play(program(steps(Begin(), ADD, *end), steps(Begin(), ADD, Commit())), "AB")
        assert happened(run) == ["A update", "B waits for A", "A rollback", "B update", "B commit"]
        assert run.trace.returns["B"] == Ok({"seen": "1"})


def test_of_three_the_one_that_waited_longest_goes_on_first(scheduler: Scheduler) -> None:
    run = scheduler.play(program(*[steps(Begin(), ADD, Commit())] * 3), "ACB")
    assert happened(run) == [
        "A update", "C waits for A", "B waits for A", "A commit", "C update", "C commit", "B update", "B commit",
    ]  # fmt: skip


def test_a_statement_alone_holds_the_lock_until_its_commit_which_is_a_letter_of_its_own(scheduler: Scheduler) -> None:
    run = scheduler.play(program(steps(ADD), steps(ADD), steps(READ)), "ABC")
    assert happened(run) == ["A update", "B waits for A", "C select", "A commit", "B update", "B commit"]
    assert run.trace.returns == {"A": Ok({"seen": "1"}), "B": Ok({"seen": "2"}), "C": Ok({"seen": "0"})}


@pytest.mark.parametrize(("journal_mode", "reason"), [("wal", "SQLITE_BUSY_SNAPSHOT"), ("delete", "SQLITE_BUSY")])
def test_who_has_read_and_would_write_after_another_is_refused_at_once(
    make_file: MakeFile, journal_mode: str, reason: str
) -> None:
    both = program(*[steps(Begin(), READ, ADD, Commit())] * 2, is_deferred=True)
    with Scheduler(make_file(journal_mode)) as scheduler:
        run = scheduler.play(both, "AB")
    assert run.trace.returns["A"] == Failed("40001", f"database is locked ({reason})")
    assert run.trace.returns["B"] == Ok({"seen": "0 1"})


def test_who_has_read_is_refused_while_another_writes_and_who_has_not_waits(scheduler: Scheduler) -> None:
    writer = steps(Begin(), ADD, Commit())
    upgrading = scheduler.play(program(writer, steps(Begin(), READ, ADD, Commit()), is_deferred=True), "BAB")
    assert happened(upgrading)[:3] == ["B select", "A update", "B database is locked (SQLITE_BUSY)"]
    waiting = scheduler.play(program(writer, writer, is_deferred=True), "AB")
    assert happened(waiting) == ["A update", "B waits for A", "A commit", "B update", "B commit"]


def test_without_a_log_a_commit_waits_for_who_reads_and_whoever_comes_then_waits_for_it(delete_mode: Scheduler) -> None:
    reader = steps(Begin(), READ, READ_OTHER, Commit())
    run = delete_mode.play(program(steps(Begin(), ADD, Commit()), reader, steps(READ), is_deferred=True), "BAAC")
    assert happened(run) == [
        "B select", "A update", "A waits for B", "C waits for A", "B select", "A commit", "C select",
    ]  # fmt: skip
    assert run.trace.returns["B"] == Ok({"seen": "0 0"})
    assert run.trace.returns["C"] == Ok({"seen": "1"})


def test_with_a_log_readers_see_what_was_committed_when_they_began(make_file: MakeFile) -> None:
    reader = steps(Begin(), READ, READ, Commit())
    with Scheduler(make_file("wal")) as scheduler:
        run = scheduler.play(program(steps(ADD), reader, is_deferred=True), "BAAB")
    assert happened(run) == ["B select", "A update", "A commit", "B select"]
    assert run.trace.returns["B"] == Ok({"seen": "0 0"})


def test_an_error_that_a_savepoint_heals_keeps_the_commit(scheduler: Scheduler) -> None:
    def insert_twice(_keys: Keys, operation_id: UUID) -> Steps:
        yield Begin()
        yield Statement("insert into boxes (n, name) values (17, :name)", {"name": str(operation_id)})
        yield Statement("savepoint s")
        try:
            yield Statement("insert into boxes (n, name) values (18, :name)", {"name": str(operation_id)})
        except StatementFailed:
            yield Statement("rollback to savepoint s")
        yield Statement("insert into boxes (n) values (19)")
        yield Commit()
        return Ok()

    run = scheduler.play(program(Actor("insert", insert_twice), steps(Begin(), ADD, Commit())), "AB")
    assert happened(run)[-3:] == ["A commit", "B update", "B commit"]
    (left,) = scheduler.ask([Statement("select n from boxes where n > 16 order by n")])
    assert [row["n"] for row in left.rows] == [17, 19]


def test_a_statement_that_rolls_all_back_lets_the_lock_go_and_what_follows_stands_alone(scheduler: Scheduler) -> None:
    def insert_twice(_keys: Keys, operation_id: UUID) -> Steps:
        yield Begin()
        yield Statement("insert into boxes (n, name) values (27, :name)", {"name": str(operation_id)})
        try:
            yield Statement("insert or rollback into boxes (n, name) values (28, :name)", {"name": str(operation_id)})
        except StatementFailed:
            yield Statement("insert into boxes (n) values (29)")
            yield Commit()
        return Ok()

    run = scheduler.play(program(Actor("insert", insert_twice), steps(Begin(), ADD, Commit())), "AABA")
    assert happened(run)[2:5] == ["B update", "A waits for B", "B commit"], "it has touched nothing, and so may wait"
    (left,) = scheduler.ask([Statement("select n from boxes where n > 26 order by n")])
    assert [row["n"] for row in left.rows] == [29]


def test_a_read_only_transaction_does_not_take_the_lock_of_the_writer(scheduler: Scheduler) -> None:
    run = scheduler.play(program(steps(Begin(), ADD, Commit()), steps(Begin(is_read_only=True), READ, Commit())), "AB")
    assert "B waits for A" not in happened(run)[:2]


def test_both_of_two_columns_of_one_name_are_kept(scheduler: Scheduler) -> None:
    run = scheduler.play(program(steps(Statement("select 1 as n, 2 as n"))))
    assert run.trace.events[0].rows == ({"n (1)": 1, "n": 2},)


def test_a_refused_statement_leaves_its_transaction_open_and_its_lock_held(scheduler: Scheduler) -> None:
    def insert_twice(_keys: Keys, operation_id: UUID) -> Steps:
        yield Begin()
        yield Statement("insert into boxes (n, name) values (7, :name)", {"name": str(operation_id)})
        try:
            yield Statement("insert into boxes (n, name) values (8, :name)", {"name": str(operation_id)})
        except StatementFailed as error:
            yield Commit()
            return Ok({"refused": error.sqlstate})
        return Ok()

    run = scheduler.play(program(Actor("insert", insert_twice), steps(Begin(), ADD, Commit())), "AAB")
    assert run.trace.returns["A"] == Ok({"refused": "23505"})
    assert happened(run)[1:4] == [
        "A UNIQUE constraint failed: boxes.name", "B waits for A", "A commit",
    ]  # fmt: skip
    (left,) = scheduler.ask([Statement("select n from boxes where n > 6")])
    assert [row["n"] for row in left.rows] == [7]


class Looking:
    """A recorder that keeps what each letter touched."""

    def __init__(self) -> None:
        self.footprints: dict[tuple[str, int], Footprint] = {}

    def known(self, actor: str, number: int, phase: StepPhase) -> Footprint | None:
        return None

    def add(self, actor: str, number: int, phase: StepPhase, footprint: Footprint) -> None:
        self.footprints[actor, number] = footprint

    def end_letter(self, *, done: str) -> None: ...


@pytest.mark.parametrize(("journal_mode", "is_met"), [("wal", False), ("delete", True)])
def test_a_reader_meets_a_commit_of_another_table_only_where_there_is_no_log(
    make_file: MakeFile, journal_mode: str, is_met: bool
) -> None:
    reader = steps(Begin(), READ, READ_OTHER, Commit())
    writer = steps(Begin(), Statement("insert into others (n) values (1)"), Commit())
    looking = Looking()
    with Scheduler(make_file(journal_mode)) as scheduler:
        scheduler.play(program(reader, writer, is_deferred=True), recorder=looking)
    commit = looking.footprints["B", 1]
    assert is_dependent(looking.footprints["A", 0], commit), "what the snapshot holds of it was decided there"
    assert is_dependent(looking.footprints["A", 1], commit) is is_met


def test_what_a_trigger_or_a_foreign_key_touches_counts(make_file: MakeFile) -> None:
    target = make_file("wal")
    with closing(target.connect_sqlite()) as connection:
        connection.executescript(
            "create trigger count after insert on others begin update boxes set n = n + 1; end;"
            "create table parts (box_id bigint not null references boxes (id));"
        )
    counted = steps(Statement("insert into others (n) values (1)"))
    referring = steps(Statement("insert into parts (box_id) values (:first)"))
    looking = Looking()
    with Scheduler(target) as scheduler:
        scheduler.play(program(counted, referring, steps(READ)), recorder=looking)
    read = looking.footprints["C", 0].reads
    assert looking.footprints["A", 0].rows & read
    assert looking.footprints["B", 0].reads & read
    assert not looking.footprints["B", 0].rows & read


def test_rows_of_the_stage_are_older_than_those_of_the_calls(scheduler: Scheduler) -> None:
    """SQLite's own clock has whole seconds, and then nothing would tell them apart."""
    scheduler.play(program(steps(Statement("insert into boxes (n) values (5)"))))
    (answer,) = scheduler.ask([Statement("select n, made_at from boxes order by id")])
    assert answer.rows[0]["made_at"] < answer.rows[-1]["made_at"]
    assert answer.rows[0]["made_at"].tzinfo is not None


def test_a_hundred_times_the_same_schedule_gives_the_same_trace(scheduler: Scheduler) -> None:
    def make(_keys: Keys, operation_id: UUID) -> Steps:
        yield Begin()
        rows: Rows = yield Statement(
            "insert into boxes (n, name) values (1, :name) returning id, current_timestamp as made_at",
            {"name": str(operation_id)},
        )
        yield Commit()
        return Ok({"id": rows[0]["id"], "made_at": rows[0]["made_at"], "operation_id": str(operation_id)})

    racing = program(Actor("make", make), steps(Begin(), READ, ADD, Commit()), steps(READ, ADD_OTHER), is_deferred=True)
    traces = [scheduler.play(racing, "BCAC").trace.normal() for _ in range(100)]
    assert all(trace == traces[0] for trace in traces)
    assert len(traces[0].events) >= 7


def test_a_statement_that_never_ends_is_interrupted(make_file: MakeFile) -> None:
    endless = steps(ENDLESS)
    with Scheduler(make_file("wal"), letter_seconds_max=0.2) as scheduler:
        began = time.perf_counter()
        assert scheduler.play(program(endless)).cut.startswith("A's letter 1 took more than 0.2 s: with recursive t")
        assert time.perf_counter() - began < 5
        assert scheduler.play(program(steps(ADD))).letters == "AA"


def test_control_c_is_not_lost_in_a_statement_that_takes_long(make_file: MakeFile) -> None:
    """Within SQLite it is Python's callbacks that notice it, and what they raise is swallowed."""
    with Scheduler(make_file("wal")) as scheduler:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            scheduler.play(program(steps(ENDLESS)))
        timer.join()
        assert scheduler.play(program(steps(ADD))).letters == "AA"


def test_an_operation_that_never_ends_is_cut(make_file: MakeFile) -> None:
    def endless(keys: Keys, _operation_id: UUID) -> Steps:
        while True:
            yield Statement("update boxes set n = n + 1 where id = :first", keys)

    with Scheduler(make_file("wal"), letters_max=20) as scheduler:
        run = scheduler.play(program(Actor("endless", endless), steps(ADD)), "AAAB")
        assert (run.cut, len(run.letters)) == ("more than 20 letters", 20)
        assert scheduler.play(program(steps(ADD))).trace.returns == {"A": Ok({"seen": "1"})}


def test_another_isolation_level_is_refused(scheduler: Scheduler) -> None:
    with pytest.raises(UsageError, match="SQLite has a single level"):
        scheduler.play(Program((steps(READ),), stage, Isolation.SERIALIZABLE))


def test_a_stage_with_a_row_that_is_refused_says_which_row(scheduler: Scheduler) -> None:
    def broken() -> Stage:
        return Stage([StagedRow("one", "boxes", {"n": None})], {})

    reason = r"^the stage's row 'one' of boxes was refused: NOT NULL constraint failed: boxes\.n"
    with pytest.raises(UsageError, match=reason) as caught:
        scheduler.play(Program((steps(READ),), broken))
    assert caught.value.hint == "Its rows are: 'one' of boxes."
    assert scheduler.play(program(steps(ADD))).letters == "AA", "and leaves no transaction open"


def test_a_statement_that_sqlite_cannot_be_told_is_an_error_in_words(scheduler: Scheduler) -> None:
    with pytest.raises(UsageError, match="cannot be said in sqlite"):
        scheduler.play(program(steps(Statement("select from where from"))))
    assert scheduler.play(program(steps(ADD))).letters == "AA"
