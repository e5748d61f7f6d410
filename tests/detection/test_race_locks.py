"""What a transaction holds is asked of the server: after an error that a savepoint heals, and where there is no id."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.operation import Begin, Commit, Isolation, Ok, Rollback, Rows, Statement, StatementFailed, Steps
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Actor, Keys, Program
from integrity.race.program.trace import Failed, StepPhase
from integrity.race.search.exploration import Exploration
from integrity.race.search.explore import Budget, explore
from integrity.verdict import Verdict
from tests.detection.race_tables import DIGESTS, create_tables, new_database, stage

ADD = "update accounts set n = n + 1 where id = :account"


@pytest.fixture(scope="module")
def scheduler(server: EmbeddedServer) -> Iterator[Scheduler]:
    with new_database(server.target) as database:
        create_tables(database)
        with Scheduler(database) as scheduler:
            yield scheduler


def program(*calls: Callable[[Keys, UUID], Steps], isolation: Isolation = Isolation.READ_COMMITTED) -> Program:
    return Program(tuple(Actor("call", call) for call in calls), stage, isolation, digests=DIGESTS)


def transaction(*statements: str, begin: Begin | None = None) -> Callable[[Keys, UUID], Steps]:
    """Return a call that runs the statements in one transaction and returns the first value of each, r0, r1, ..."""

    def steps(keys: Keys, _operation_id: UUID) -> Steps:
        seen: dict[str, Any] = {}
        yield begin or Begin()
        for sql in statements:
            rows: Rows = yield Statement(sql, keys)
            if rows:
                seen[f"r{len(seen)}"] = next(iter(rows[0].values()))
        yield Commit()
        return Ok(seen)

    return steps


def search(scheduler: Scheduler, raced: Program, *, preemptions: int = 9) -> tuple[Exploration, set[tuple[object, ...]]]:
    """Return what a search to its end comes to, and how the calls returned in its schedules."""
    returns: set[tuple[object, ...]] = set()
    play = scheduler.play

    def listening(*given: object, **options: object) -> PlayedSchedule:
        run = play(*given, **options)  # type: ignore[arg-type]
        if len(run.trace.returns) == len(raced.actors):  # not of a serial order of fewer
            returns.add(tuple(told(run, actor) for actor in sorted(run.trace.returns)))
        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler, "play", listening)
        return explore(scheduler, raced, budget=Budget(preemptions=preemptions), stops_at_first=False), returns


def told(run: PlayedSchedule, actor: str) -> object:
    returned = run.trace.returns[actor]
    return returned.sqlstate if isinstance(returned, Failed) else getattr(returned, "value", {}).get("r0", "ok")


def add_once(keys: Keys, _operation_id: UUID) -> Steps:
    """Claim an event behind a savepoint, as ORMs do, and count it either way."""
    yield Begin()
    yield Statement("savepoint claim")
    try:
        yield Statement("insert into credits_once (account_id, event) values (:account, 'e')", keys)
    except StatementFailed:
        yield Statement("rollback to savepoint claim")
    yield Statement(ADD, keys)
    yield Commit()
    return Ok()


def test_an_error_that_a_savepoint_has_healed_keeps_the_commit(scheduler: Scheduler) -> None:
    run = scheduler.play(program(add_once, add_once))
    (row,) = scheduler.ask([Statement("select n from accounts where id = :account", run.keys)])[0].rows
    assert [event.tag for event in run.trace.events if event.sql == "commit"] == ["COMMIT", "COMMIT"]
    assert row["n"] == 2
    exploration, _ = search(scheduler, program(add_once, add_once))
    assert exploration.verdict is Verdict.HOLDS
    assert exploration.coverage.is_exhaustive


def test_what_was_locked_before_a_savepoint_is_held_behind_an_error_until_the_end(scheduler: Scheduler) -> None:
    def dies_holding(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        yield Statement(ADD, keys)
        yield Statement("savepoint s")
        try:
            yield Statement("select 1 / 0")
        except StatementFailed:
            yield Rollback()
        return Ok()

    run = scheduler.play(program(dies_holding, transaction(ADD)), "AAAB")
    first = next(event for event in run.trace.events if event.actor == "B")
    assert (first.phase, first.waits_for) == (StepPhase.WAITS, "A")
    assert run.letters == "AAABAB", "the rollback is a letter: it lets B go on"


def test_an_error_without_a_savepoint_leaves_an_end_that_nobody_can_notice(scheduler: Scheduler) -> None:
    def dies(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        yield Statement(ADD, keys)
        try:
            yield Statement("select 1 / 0")
        except StatementFailed:
            yield Commit()
        return Ok()

    run = scheduler.play(program(dies))
    assert run.letters == "AA"
    assert scheduler.ask([Statement("select n from accounts where id = :account", run.keys)])[0].rows[0]["n"] == 0


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (
            "select pg_try_advisory_xact_lock(:account)",
            "select pg_try_advisory_xact_lock(:account)",
            {(True, True), (True, False), (False, True)},
        ),
        (
            "lock table credits in exclusive mode nowait",
            "lock table credits in exclusive mode nowait",
            {("ok", "ok"), ("ok", "55P03"), ("55P03", "ok")},
        ),
        (
            "lock table credits in access share mode",
            "lock table credits in access exclusive mode nowait",
            {("ok", "ok"), ("ok", "55P03")},
        ),
    ],
    ids=["advisory", "table", "table, to read"],
)
def test_a_lock_without_an_id_is_held_until_a_commit_that_is_a_letter(
    scheduler: Scheduler, one: str, other: str, expected: set[tuple[object, ...]]
) -> None:
    exploration, returns = search(scheduler, program(transaction(one), transaction(other)))
    assert exploration.coverage.is_exhaustive
    assert returns == expected


def test_the_commit_of_a_serializable_reader_is_a_letter(scheduler: Scheduler) -> None:
    """Where it stands decides who is refused."""
    reader = program(transaction("select n from accounts where id = :account"), isolation=Isolation.SERIALIZABLE)
    assert scheduler.play(reader).letters == "AA"


def test_the_end_of_a_plain_read_is_no_letter(scheduler: Scheduler) -> None:
    for isolation in (Isolation.READ_COMMITTED, Isolation.REPEATABLE_READ):
        reader = program(transaction("select n from accounts where id = :account"), isolation=isolation)
        assert scheduler.play(reader).letters == "A"


READ = "select n from accounts where id = :account"
ALONE_AT_ONCE = "lock table accounts in access exclusive mode nowait"
IN_A_FUNCTION = "select pg_temp.lock_accounts()"
LOCKING_FUNCTION = f"""
create function pg_temp.lock_accounts() returns int language plpgsql as $$ begin {ALONE_AT_ONCE}; return 1; end $$
"""


@pytest.mark.parametrize(
    ("reads", "locks"),
    [
        (READ, (ALONE_AT_ONCE,)),
        (READ, ("select 1", LOCKING_FUNCTION, IN_A_FUNCTION)),
        ("update accounts set n = 0 where id = -1", ("lock table accounts in share mode nowait",)),
        ("select n from accounts where id = -1 for update", ("lock table accounts in exclusive mode nowait",)),
    ],
    ids=["lock table", "in a function", "nothing written", "nothing locked"],
)
@pytest.mark.parametrize("is_pruned", [True, False], ids=["pruned", "whole"])
def test_the_end_of_a_read_is_a_letter_where_another_locks_the_table(
    scheduler: Scheduler, reads: str, locks: tuple[str, ...], *, is_pruned: bool
) -> None:
    raced = program(transaction(reads), transaction(*locks))
    exploration = explore(scheduler, raced, budget=Budget(preemptions=9), stops_at_first=False, is_pruned=is_pruned)
    assert exploration.coverage.is_exhaustive
    assert {hit.alarms[0].name.rpartition(": ")[2] for hit in exploration.hits} == {"55P03"}


@pytest.mark.parametrize(
    ("is_pruned", "locks"),
    [(True, (ALONE_AT_ONCE,)), (False, (ALONE_AT_ONCE,)), (True, (LOCKING_FUNCTION, IN_A_FUNCTION))],
    ids=["pruned", "whole", "pruned, in a function"],
)
def test_a_lock_that_is_taken_in_some_orders_only_is_learned_on_the_way(
    scheduler: Scheduler, locks: tuple[str, ...], *, is_pruned: bool
) -> None:
    """A locks where it finds what C wrote, and B, which only reads, is in its way: its end is a letter from then on."""

    def locks_if_changed(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        rows = yield Statement(READ, keys)
        for sql in locks if rows and rows[0]["n"] else (ADD,):
            yield Statement(sql, keys)
        yield Commit()
        return Ok()

    raced = program(locks_if_changed, transaction(READ), transaction(ADD))
    exploration = explore(scheduler, raced, budget=Budget(preemptions=9), stops_at_first=False, is_pruned=is_pruned)
    assert exploration.coverage.is_exhaustive
    assert {hit.alarms[0].name.rpartition(": ")[2] for hit in exploration.hits} == {"55P03"}


def test_a_temporary_table_is_in_nobodys_way(scheduler: Scheduler) -> None:
    makes = transaction("create temp table mine (n int) on commit drop", "truncate mine", "select count(*) from mine")
    raced = program(transaction(READ), makes)
    assert scheduler.play(raced, "AB").letters == "ABBBB"


@pytest.mark.parametrize("is_pruned", [True, False], ids=["pruned", "whole"])
def test_a_snapshot_is_waited_for_where_an_index_is_made_beside_it(scheduler: Scheduler, *, is_pruned: bool) -> None:
    def makes_index(_keys: Keys, _operation_id: UUID) -> Steps:
        yield Statement("create index concurrently beside on accounts (n)")
        yield Statement("drop index concurrently beside")
        return Ok()

    looks = transaction("select 1", "select 2", begin=Begin(Isolation.REPEATABLE_READ))
    raced = program(looks, makes_index)
    exploration = explore(scheduler, raced, budget=Budget(preemptions=9), stops_at_first=False, is_pruned=is_pruned)
    assert exploration.coverage.is_exhaustive
    assert exploration.coverage.waits
    run = scheduler.play(raced, "AB")
    assert [(event.actor, event.waits_for) for event in run.trace.events if event.phase is StepPhase.WAITS] == [("B", "A")]


def test_a_deferrable_transaction_waits_for_those_that_could_make_its_snapshot_unsafe(scheduler: Scheduler) -> None:
    read = "select n from accounts where id = :account"
    deferrable = transaction(read, begin=Begin(Isolation.SERIALIZABLE, is_read_only=True, is_deferrable=True))
    run = scheduler.play(program(transaction(ADD, begin=Begin(Isolation.SERIALIZABLE)), deferrable), "AB")
    waits, *rest = [event for event in run.trace.events if event.actor == "B"]
    assert (waits.phase, waits.waits_for) == (StepPhase.WAITS, "A")
    assert rest[0].phase is StepPhase.RESUMED


def test_a_read_only_transaction_refuses_to_write(scheduler: Scheduler) -> None:
    run = scheduler.play(program(transaction(ADD, begin=Begin(is_read_only=True))))
    assert told(run, "A") == "25006"


def test_an_actor_that_waits_for_a_lock_which_another_kept_at_its_end_cuts_the_schedule(scheduler: Scheduler) -> None:
    keeps = transaction("select pg_advisory_lock(:account)")
    run = scheduler.play(program(keeps, keeps))
    assert run.cut == "B waits for a lock that A kept at the end: select pg_advisory_lock(:account)"


def test_both_of_two_columns_of_one_name_are_kept(scheduler: Scheduler) -> None:
    """The last has the name, as drivers have it."""
    run = scheduler.play(program(transaction("select 1 as n, 2 as m, 3 as n")))
    assert run.trace.events[0].rows == ({"n (1)": 1, "m": 2, "n": 3},)


TO_READ, TO_CHANGE = "lock table {} in access share mode", "lock table {} in access exclusive mode"


def test_a_circle_in_a_queue_is_the_servers_to_reorder(scheduler: Scheduler) -> None:
    """B waits for A, C for B; A, behind C in the queue, is let in front of it: no one is refused."""
    raced = program(
        transaction(TO_READ.format("credits"), TO_READ.format("items")),
        transaction(TO_READ.format("items"), TO_CHANGE.format("credits")),
        transaction(TO_CHANGE.format("items")),
    )
    for _ in range(10):
        run = scheduler.play(raced, "ABBCA")
        assert {type(returned) for returned in run.trace.returns.values()} == {Ok}
        waits = [(event.actor, event.waits_for) for event in run.trace.events if event.phase is StepPhase.WAITS]
        assert waits == [("B", "A"), ("C", "B"), ("A", "BC")]


def test_a_deadlock_of_three_refuses_the_one_that_closed_the_circle(scheduler: Scheduler) -> None:
    tables = ("accounts", "credits", "items")
    steps = [
        transaction(f"lock table {one} in exclusive mode", f"lock table {other} in exclusive mode")
        for one, other in zip(tables, tables[1:] + tables[:1], strict=True)
    ]
    for _ in range(10):
        run = scheduler.play(program(*steps), "ABCABC")
        assert told(run, "C") == "40P01"
        assert told(run, "A") == told(run, "B") == "ok"
