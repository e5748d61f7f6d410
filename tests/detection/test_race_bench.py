"""The bench set is judged right: by either oracle alone, and at the bound of two preemptions; what is found is shrunk to
the schedule that a person would write, and explained by its name."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from integrity.engines.embedded.server import EmbeddedServer
from integrity.errors import UserCodeError
from integrity.operation import Begin, Commit, Declined, Isolation, Ok, Request, Rollback, Rows, Statement, Steps
from integrity.race.judge.anomaly import Anomaly
from integrity.race.judge.explain import explain
from integrity.race.judge.judge import Judge, Judgement
from integrity.race.judge.oracles import Oracle
from integrity.race.judge.spelling_out import names_of
from integrity.race.judge.timeline import timeline
from integrity.race.play.again import order_of, play_again
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Actor, Keys, Program, on_keys
from integrity.race.search.exploration import Exploration
from integrity.race.search.explore import Budget, explore
from integrity.race.search.shrink import shrink
from integrity.systems.stage import Ref, Stage, StagedRow
from integrity.verdict import Verdict
from tests.detection.race_bench import CASES, Case, without_checks
from tests.detection.race_tables import DIGESTS, create_tables, new_database, stage

RACY = [case for case in CASES if case.is_racy]
SOUND = [case for case in CASES if not case.is_racy]


@pytest.fixture(scope="module")
def scheduler(server: EmbeddedServer) -> Iterator[Scheduler]:
    with new_database(server.target) as database:
        create_tables(database)
        with Scheduler(database) as scheduler:
            yield scheduler


@pytest.mark.parametrize("case", RACY, ids=lambda case: case.name)
def test_a_racy_program_is_found_by_its_invariant_alone(scheduler: Scheduler, case: Case) -> None:
    judge = Judge(scheduler, case.program, is_serial_judged=False)
    exploration = explore(scheduler, case.program, budget=Budget(), judge=judge)
    assert exploration.verdict is Verdict.VIOLATED
    assert exploration.hits[0].is_repeatable
    assert exploration.hits[0].alarms[0].oracle is Oracle.INVARIANT
    assert exploration.hits[0].schedules <= 20


@pytest.mark.parametrize("case", RACY, ids=lambda case: case.name)
def test_a_racy_program_is_found_without_any_invariant(scheduler: Scheduler, case: Case) -> None:
    exploration = explore(scheduler, without_checks(case.program), budget=Budget())
    assert exploration.verdict is Verdict.VIOLATED
    assert exploration.hits[0].is_repeatable
    assert exploration.hits[0].alarms[0].oracle is Oracle.SERIAL
    assert exploration.hits[0].schedules <= 20


def test_what_runs_leave_is_swept_unless_something_was_found(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrity.race.play.scheduler.SWEPT_EVERY", 5)
    count = Statement("select count(*) as n from accounts")
    with new_database(server.target) as database:
        create_tables(database)
        with Scheduler(database, emptying=[Statement("truncate accounts, credits, items cascade")]) as scheduler:
            sound = explore(scheduler, find("lost update, for update").program, budget=Budget(preemptions=2))
            assert sound.verdict is Verdict.HOLDS
            assert sound.coverage.played > 5
            assert scheduler.ask([count])[0].rows[0]["n"] <= 2 * 7, (
                "two accounts a run: of five, and those of serial orders"
            )
            scheduler.sweep()
            program = find("lost update").program
            racy = explore(scheduler, program, budget=Budget(preemptions=9), is_pruned=False, stops_at_first=False)
            assert racy.coverage.played > 10
            run = racy.hits[0].run
            assert Judge(scheduler, program).judge(run).alarms, "the rows of what was found are there to be shown"


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.name)
def test_a_sound_program_is_exhausted_at_two_preemptions_without_alarm(scheduler: Scheduler, case: Case) -> None:
    exploration = explore(scheduler, case.program, budget=Budget(preemptions=2))
    assert exploration.verdict is Verdict.HOLDS
    assert exploration.coverage.bound_completed == 2
    assert exploration.coverage.played >= 4


SMALLEST = {
    "lost update": ("AB", Anomaly.LOST_UPDATE),
    "double credit": ("AB", Anomaly.PHANTOM),
    "write skew, repeatable read": ("AB", Anomaly.WRITE_SKEW),
    "duplicate scan": ("AB", Anomaly.LOST_UPDATE),
    "long reader": ("AAAAAAAAAAAAAB", Anomaly.LOST_UPDATE),
    "report, repeatable read": ("ABBBBBBC", Anomaly.CYCLE),
    "insert where not exists": ("AB", Anomaly.PHANTOM),
    "spend if sum": ("AB", Anomaly.PHANTOM),
    "read then add": ("AB", Anomaly.LOST_UPDATE),
    "next number": ("AB", Anomaly.PHANTOM),
    "view": ("AB", Anomaly.PHANTOM),
    "trigger": ("AB", Anomaly.LOST_UPDATE),
    "function": ("AB", Anomaly.LOST_UPDATE),
}


@pytest.mark.parametrize("case", [case for case in RACY if case.name in SMALLEST], ids=lambda case: case.name)
def test_what_is_found_is_shrunk_to_the_smallest_schedule_and_named(scheduler: Scheduler, case: Case) -> None:
    hit = explore(scheduler, case.program, budget=Budget()).hits[0]
    shrunk = shrink(scheduler, case.program, hit)
    judge = Judge(scheduler, shrunk.program)
    explanation = explain(judge, scheduler.play(shrunk.program, shrunk.schedule))
    assert (shrunk.schedule, explanation.anomaly) == SMALLEST[case.name]


def find(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def test_the_explanation_says_what_was_read_and_what_each_order_would_have_shown(scheduler: Scheduler) -> None:
    program = find("lost update").program
    run = scheduler.play(program, "AB")
    assert explain(Judge(scheduler, program), run).lines == [
        "A before B: B read balance 1000, not 900",
        "B before A: A read balance 1000, not 900",
        "No order gives this: lost update: one call read a row, the other changed it, and the first wrote over the"
        " change (P4).",
    ]


def test_the_timeline_has_a_column_an_actor_with_what_was_read_and_who_waited(scheduler: Scheduler) -> None:
    run = scheduler.play(find("add one").program, "AB")
    assert timeline(run.trace.events, names_of(run), width=96) == [
        "  1 update accounts set n = n + 1 where id =",
        "      account returning n",
        "    → n 1",
        "  2                                               update accounts set n = n + 1 where id =",
        "                                                    account returning n",
        "                                                  … waits for A",
        "  3 commit",
        "  4                                               … goes on",
        "                                                  → n 2",
        "  5                                               commit",
    ]


# Pruned and unpruned searches come to the same outcomes, whatever the calls do and at every level; and in each of them each
# call sees the same. Outcomes alone would say little of snapshots and refusals: what one schedule that was spared comes to,
# another one comes to mostly as well, by another way.

READS = (
    "select coalesce(sum(n), 0)::bigint as n from accounts where id in (:account, :second)",
    "select coalesce(sum(n), 0)::bigint as n from numbers where account_id = :account",
    "select count(*) as n from credits where account_id = :account",
    "select total as n from totals where account_id = :account",
    "select n from accounts where id = :account for update",
    "select sum(price)::bigint as n from items where cart_id = :account",
    "select pg_try_advisory_xact_lock(:account)::int as n",
    "select 5 as n from pg_advisory_xact_lock(:account)",
    "lock table credits in share row exclusive mode nowait",
    "lock table numbers in access exclusive mode",
)
WRITES = (
    "update accounts set n = :seen + 1 where id = :account",
    "update accounts set n = n + 1 where id = :second",
    "insert into numbers (account_id, n, note) values (:account, :seen + 1, '00000000-0000-0000-0000-000000000000')",
    "insert into credits (account_id, event) values (:account, 'e')",
    "insert into credits_once (account_id, event) values (:account, 'e') on conflict do nothing",
    "insert into guarded (account_id, note) values (:account, '00000000-0000-0000-0000-000000000000')",
    "update items set price = price + :seen + 1 where cart_id = :account",
    """
    update orders set total = (select sum(price) from items where cart_id = :account)
        + (select n from accounts where id = :account)
    where cart_id = :account
    """,
)


def call(statements: tuple[str, ...], *, is_one_transaction: bool) -> Callable[[Keys, UUID], Steps]:
    """Return a call that runs the statements; what was read last goes into what is written."""

    def steps(keys: Keys, _operation_id: UUID) -> Steps:
        seen = 0
        if is_one_transaction:
            yield Begin()
        for sql in statements:
            rows: Rows = yield Statement(sql, {**keys, "seen": seen})
            seen = rows[0]["n"] if rows else seen
        if is_one_transaction:
            yield Commit()
        return Ok({"seen": seen})

    return steps


calls = st.builds(
    lambda statements, is_one_transaction: Actor("call", call(statements, is_one_transaction=is_one_transaction)),
    st.lists(st.sampled_from(READS + WRITES), min_size=1, max_size=3).map(tuple),
    st.booleans(),
)


def transaction(*statements: str) -> Actor:
    return Actor("call", call(statements, is_one_transaction=True))


class Witness:
    """Judges by invariants, and notes what each call saw in each run: letter by letter, waits and refusals included."""

    def __init__(self, scheduler: Scheduler, program: Program) -> None:
        self._judge = Judge(scheduler, program, is_serial_judged=False)
        self.seen: set[tuple[str, ...]] = set()

    def judge(self, run: PlayedSchedule) -> Judgement:
        self.seen.add(tuple(self._what_it_saw(run, actor) for actor in sorted(run.trace.returns)))
        return self._judge.judge(run)

    def _what_it_saw(self, run: PlayedSchedule, actor: str) -> str:
        generated = run.trace.generated | set(run.operation_ids)
        return "; ".join(
            f"{event.number} {event.phase} {event.tag} {event.refusal and event.refusal.sqlstate} "
            f"{[[value for value in row.values() if value not in generated] for row in event.rows]}"
            for event in run.trace.events
            if event.actor == actor
        )


def come_to(
    scheduler: Scheduler, program: Program, *, is_pruned: bool, preemptions: int = 2
) -> tuple[Exploration, set[tuple[str, ...]]]:
    """Return what a search comes to, and what the calls saw in it."""
    witness = Witness(scheduler, program)
    budget = Budget(preemptions=preemptions)
    found = explore(scheduler, program, budget=budget, is_pruned=is_pruned, stops_at_first=False, judge=witness)
    return found, witness.seen


def stage_with_order() -> Stage:
    staged = stage()
    order = StagedRow("order", "orders", {"cart_id": Ref("account"), "total": 0})
    return Stage([*staged.rows, order], staged.keys)


def assert_pruning_loses_nothing(scheduler: Scheduler, actors: tuple[Actor, ...], level: Isolation) -> None:
    program = Program(actors, stage_with_order, level, digests=DIGESTS)
    (pruned, seen), (unpruned, all_seen) = (come_to(scheduler, program, is_pruned=each) for each in (True, False))
    assert pruned.outcomes == unpruned.outcomes
    assert seen == all_seen
    assert pruned.coverage.bound_completed == unpruned.coverage.bound_completed == 2


READ_ACCOUNTS, READ_VIEW, READ_LOCKED, READ_ITEMS = READS[0], READS[3], READS[4], READS[5]
TRY_LOCK, LOCK, LOCK_TABLE_NOWAIT, LOCK_TABLE = READS[6:10]
SKIP_LOCKED = "select n from accounts where id = :account for update skip locked"
WRITE_ACCOUNTS, WRITE_NUMBERS, WRITE_GUARDED, WRITE_ITEMS, SUM_UP = WRITES[0], WRITES[2], WRITES[5], WRITES[6], WRITES[7]


@pytest.mark.slow
@pytest.mark.parametrize("level", Isolation, ids=lambda level: level.value)
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actors=st.tuples(calls, calls))
@example(actors=(transaction(READ_ACCOUNTS), transaction(WRITE_ACCOUNTS)))
@example(actors=(transaction(READ_VIEW), transaction(WRITE_NUMBERS)))  # through a view
@example(actors=(transaction(READ_ACCOUNTS), transaction(WRITE_GUARDED)))  # through a trigger
@example(actors=(transaction(READ_LOCKED, READ_ACCOUNTS), transaction(WRITE_ACCOUNTS)))
# The first reads one table and is refused at the other: its snapshot was older than a commit that it shares nothing with.
@example(actors=(transaction(READ_ITEMS, WRITE_ACCOUNTS), transaction(WRITE_ACCOUNTS)))
# The first two share nothing, and which of them commits first decides whether the third is refused at serializable.
@example(actors=(transaction(SUM_UP), transaction(WRITE_ITEMS), transaction(WRITE_ACCOUNTS, READ_ITEMS)))
# One that does not get its lock goes on without: it leaves no lock, and meets that of the other all the same.
@example(actors=(transaction(TRY_LOCK, WRITE_ACCOUNTS), transaction(TRY_LOCK, WRITE_NUMBERS)))
@example(actors=(transaction(TRY_LOCK), transaction(LOCK, READ_ITEMS)))
@example(actors=(transaction(LOCK_TABLE_NOWAIT, READ_ITEMS), transaction(LOCK_TABLE_NOWAIT)))
@example(actors=(transaction(LOCK_TABLE_NOWAIT), transaction(READS[2], READ_ITEMS)))
# What is locked behind a savepoint is let go with it, and leaves no lock either.
@example(actors=(transaction("savepoint s", WRITE_ACCOUNTS, "rollback to savepoint s"), transaction(SKIP_LOCKED)))
@example(actors=(transaction("savepoint s", LOCK_TABLE_NOWAIT, "rollback to savepoint s"), transaction(LOCK_TABLE_NOWAIT)))
@example(actors=(transaction(LOCK_TABLE, READ_ITEMS), transaction(LOCK, READ_VIEW), transaction(LOCK, WRITE_NUMBERS)))
def test_pruned_and_unpruned_searches_come_to_the_same(
    scheduler: Scheduler, level: Isolation, actors: tuple[Actor, ...]
) -> None:
    assert_pruning_loses_nothing(scheduler, actors, level)


def test_calls_on_different_tables_are_played_once_however_they_are_ordered(scheduler: Scheduler) -> None:
    one = Actor("one", call((READS[2],) * 3, is_one_transaction=True))
    other = Actor("other", call((WRITES[1],) * 3, is_one_transaction=True))
    program = Program((one, other), stage, digests=DIGESTS)
    exploration, _ = come_to(scheduler, program, is_pruned=True)
    assert exploration.coverage.spared > exploration.coverage.played


def fails_always(_keys: Keys, _operation_id: UUID) -> Steps:
    yield Statement("select 1 / 0")
    return Ok()


def test_calls_that_fail_in_every_schedule_are_unknown_and_not_sound(scheduler: Scheduler) -> None:
    """What they do was never raced: that is no proof of anything."""
    other = find("lost update, for update").program.actors[0]
    program = Program((Actor("transfer", fails_always), other), stage, digests=DIGESTS)
    exploration = explore(scheduler, program, budget=Budget())
    assert exploration.verdict is Verdict.UNKNOWN
    (reason,) = exploration.coverage.reasons
    assert re.fullmatch(r"transfer \(\S+:\d+\) fails however it is called: 22012 division by zero", reason)


def breaks(_keys: Keys, _operation_id: UUID) -> Steps:
    yield Begin()
    raise LookupError("no such account")


def returns_nothing(_keys: Keys, _operation_id: UUID) -> Any:
    yield Statement("select 1")


def yields_what_is_no_step(_keys: Keys, _operation_id: UUID) -> Any:
    yield "begin"
    return Ok()


@pytest.mark.parametrize(
    ("steps", "line", "told"),
    [
        (breaks, 2, "LookupError: no such account"),
        (returns_nothing, 0, "TypeError: it returned None, which is none of Ok, Declined and Unavailable"),
        (yields_what_is_no_step, 0, "TypeError: it yielded 'begin', which is no step"),
    ],
    ids=["exception", "no reply", "no step"],
)
def test_an_operation_that_breaks_by_itself_is_told_by_its_place_and_not_played(
    scheduler: Scheduler, steps: Any, line: int, told: str
) -> None:
    program = Program((Actor("transfer", steps), Actor("transfer", steps)), stage, digests=DIGESTS)
    with pytest.raises(UserCodeError) as raised:
        explore(scheduler, program, budget=Budget())
    place = f"test_race_bench.py:{steps.__code__.co_firstlineno + line}, in {steps.__name__}"
    assert f"{place}: {told} (operation transfer)\n" in str(raised.value)


def test_a_search_that_meets_its_budget_first_is_unknown_and_says_why(scheduler: Scheduler) -> None:
    program = find("report, serializable").program
    exploration = explore(scheduler, program, budget=Budget(schedules=10))
    assert exploration.verdict is Verdict.UNKNOWN
    assert exploration.coverage.cut == ["the budget of 10 schedules was spent"]


@pytest.mark.parametrize(("seconds", "verdict"), [(math.inf, Verdict.HOLDS), (60.0, Verdict.UNKNOWN)])
def test_what_a_search_comes_to_does_not_depend_on_how_long_it_takes_unless_somebody_wants_an_end(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, seconds: float, verdict: Verdict
) -> None:
    hours = count()
    monkeypatch.setattr("integrity.race.search.explore.time", SimpleNamespace(monotonic=lambda: 3600.0 * next(hours)))
    assert Budget().seconds == math.inf
    program = find("lost update, for update").program
    assert explore(scheduler, program, budget=Budget(seconds=seconds)).verdict is verdict


def test_a_search_whose_schedules_do_not_end_is_given_up(scheduler: Scheduler) -> None:
    def keeps(keys: Keys, _operation_id: UUID) -> Steps:
        yield Statement("select pg_advisory_lock(:account)", keys)
        yield Statement("update accounts set n = n + 1 where id = :account", keys)
        return Ok()

    exploration = explore(
        scheduler, Program((Actor("keeps", keeps),) * 3, stage), budget=Budget(preemptions=4), is_pruned=False
    )
    assert exploration.verdict is Verdict.UNKNOWN
    assert exploration.coverage.cut[-1] == "32 schedules were not played to their end"


def test_a_call_that_fails_half_done_leaves_serial_equivalence_without_a_verdict(scheduler: Scheduler) -> None:
    def half_done(keys: Keys, _operation_id: UUID) -> Steps:
        yield Statement("update accounts set n = n + 1 where id = :account", keys)
        yield Statement("select 1 / 0 as never")
        return Ok()

    program = Program((Actor("half done", half_done),) * 2, stage, digests=DIGESTS)
    exploration = explore(scheduler, program, budget=Budget())
    assert exploration.verdict is Verdict.UNKNOWN
    assert exploration.coverage.cut[-1].endswith("could not be judged: a call failed half done")


def test_the_rows_of_an_alarm_are_those_that_no_order_gives(scheduler: Scheduler) -> None:
    program = without_checks(find("lost update").program)
    run = scheduler.play(program, "AB")
    (alarm,) = Judge(scheduler, program).judge(run).alarms
    assert {"table": "accounts", "id": run.keys["account"], "owner": 0, "balance": 900, "n": 2} in alarm.rows


def test_what_does_not_fit_its_bound_is_searched_at_random_with_a_seed(scheduler: Scheduler) -> None:
    program = find("long reader, for update").program
    exploration = explore(scheduler, program, budget=Budget(preemptions=9, schedules=60), is_pruned=False, seed=5)
    assert exploration.verdict is Verdict.UNKNOWN
    assert exploration.coverage.random > 0


def test_a_call_that_is_wrong_by_itself_is_no_race(scheduler: Scheduler) -> None:
    program = find("lost update, for update").program
    wrong = replace(program, checks=(replace(program.checks[0], violations=on_keys("select 1 as one")),))
    exploration = explore(scheduler, wrong, budget=Budget())
    assert exploration.hits[0].preemptions == 0
    assert explain(Judge(scheduler, wrong), exploration.hits[0].run).anomaly is Anomaly.SERIAL


def test_a_call_that_inserted_nothing_has_the_same_letters_each_time(scheduler: Scheduler) -> None:
    """Every 32nd value of a logged sequence gives the transaction an id, as if it had written."""
    program = find("double credit, on conflict").program
    assert {scheduler.play(program).letters for _ in range(70)} == {"AAAB"}


def insert_or_back_out(keys: Keys, _operation_id: UUID) -> Steps:
    yield Begin()
    yield Statement("insert into credits_once (account_id, event) values (:account, 'e')", keys)
    yield Rollback()
    return Declined("backed_out")


def test_two_that_one_rollback_wakes_go_on_in_the_same_order_when_played_again(scheduler: Scheduler) -> None:
    """Both wait for a unique key; the server wakes them at once, and either may be the first to insert."""
    insert = find("insert, on conflict").program.actors[0]
    program = Program((Actor("first", insert_or_back_out), insert, insert), stage, digests=DIGESTS)
    found: dict[str, PlayedSchedule] = {}
    for _ in range(100):
        run = scheduler.play(program, "ABC")
        found.setdefault(order_of(run.trace.events), run)
    # A inserts and rolls back; then B or C inserts and commits, and the other is through without having inserted.
    assert {"AABBC", "AACCB"} <= found.keys()
    for order in ("AABBC", "AACCB"):
        again = [play_again(lambda: scheduler.play(program, "ABC"), order) for _ in range(100)]
        assert {repr(each.trace.normal()) for each in again} == {repr(found[order].trace.normal())}


def test_a_sound_search_plays_no_serial_order_but_its_own(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out like a serial order that the search has played needs no other to be right."""
    played = 0
    play = scheduler.play

    def counted_play(*given: Any, **options: Any) -> PlayedSchedule:
        nonlocal played
        played += 1
        return play(*given, **options)

    monkeypatch.setattr(scheduler, "play", counted_play)
    exploration = explore(scheduler, without_checks(find("lost update, for update").program), budget=Budget())
    assert exploration.verdict is Verdict.HOLDS
    assert played == exploration.coverage.played


def test_letters_in_a_row_are_no_serial_order_where_a_service_was_asked_before_them(scheduler: Scheduler) -> None:
    """A's request is made as the schedule begins, also when B's letters come first: B is told that it is the second."""
    asked: dict[Any, int] = {}

    def take_number(payload: Mapping[str, Any]) -> dict[str, int]:
        asked[payload["account"]] = asked.get(payload["account"], 0) + 1
        return {"number": asked[payload["account"]]}

    def steps(keys: Keys, _operation_id: UUID) -> Steps:
        answer = yield Request("numbers", {"account": keys["account"]})
        yield Statement("update accounts set n = :number where id = :account", {**keys, **answer})
        return Ok(answer)

    program = Program((Actor("take", steps),) * 2, stage, digests=DIGESTS, services={"numbers": take_number})
    hit = explore(scheduler, program, budget=Budget()).hits[0]
    assert (hit.preemptions, hit.run.letters) == (0, "BBAA")
