"""Invariants that ask the history, or go through a row whose subject may be of any kind, find their bugs in a race."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.invariants.load import load_invariants
from integrity.operation import Begin, Commit, Declined, Ok, Push, Request, Rollback, Rows, Statement, Steps, Unavailable
from integrity.project import Project, Settings
from integrity.race.judge.checks import LeftOut, make_checks
from integrity.race.judge.contest import Contest, Ground, survey
from integrity.race.judge.judge import Judge
from integrity.race.judge.relations import history_of
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Actor, Check, Keys, Program
from integrity.race.search.exploration import Exploration
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.arena import Arena
from integrity.reference.ghostpass.operations import OPERATIONS, debit, log, record_sale, record_scan, share
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.sql.file import SqlFile, parse_sql_file

FILES = [
    file
    for file in load_invariants(Project(Path(__file__).parent, Settings())).values()
    if file.name.startswith("ghostpass/")
]


@pytest.fixture(scope="module")
def arena(server: EmbeddedServer) -> Iterator[Arena]:
    with Arena(server.target, GHOSTPASS) as arena:
        yield arena


@pytest.fixture(scope="module")
def ground(arena: Arena) -> Ground:
    return survey(arena.scheduler(), GHOSTPASS, FILES)


# Operations that are right alone and one after the other, each broken in a way that one kind of invariant sees.


def request_one_funding(*, operation_id: UUID, wallet_id: int, amount_minor: int) -> Steps:
    """Keep one pending funding a wallet: decline if there is one, and remove those that came in meanwhile."""
    yield Begin()
    pending: Rows = yield Statement(
        "select id from ghostpass.fundings where wallet_id = :wallet_id and status = 'pending'", {"wallet_id": wallet_id}
    )
    if pending:
        yield Rollback()
        return Declined("already_pending")
    funding: Rows = yield Statement(
        """
        insert into ghostpass.fundings (wallet_id, amount_minor, status, operation_id)
        values (:wallet_id, :amount_minor, 'pending', :operation_id)
        returning id
        """,
        {"wallet_id": wallet_id, "amount_minor": amount_minor, "operation_id": operation_id},
    )
    yield Statement(
        "delete from ghostpass.fundings where wallet_id = :wallet_id and status = 'pending' and id <> :id",
        {"wallet_id": wallet_id, "id": funding[0]["id"]},
    )
    yield Commit()
    return Ok({"funding_id": funding[0]["id"]})


def scan_out_again(*, operation_id: UUID, wallet_id: int, gateway_id: int) -> Steps:
    """Write the scan, and write it anew as rejected when the guest has left by another door meanwhile."""
    inside: Rows = yield Statement(
        "select wallet_id from ghostpass.presences where wallet_id = :wallet_id and is_inside", {"wallet_id": wallet_id}
    )
    if not inside:
        yield from record_scan(wallet_id, gateway_id, "out", operation_id, is_accepted=False)
        return Declined("not_inside")
    yield Begin()
    yield from record_scan(wallet_id, gateway_id, "out", operation_id, is_accepted=False)
    left: Rows = yield Statement(
        "update ghostpass.presences set is_inside = false where wallet_id = :wallet_id and is_inside returning wallet_id",
        {"wallet_id": wallet_id},
    )
    if not left:
        yield from record_scan(wallet_id, gateway_id, "out", operation_id, is_accepted=False)
    yield Commit()
    return Ok()


def sell_then_ask(*, operation_id: UUID, wallet_id: int, terminal_id: int, amount_minor: int) -> Steps:
    """Take the money, then see whether it was enough: who comes second has paid when it is told no."""
    wallet: Rows = yield Statement(
        "select balance_minor from ghostpass.wallets where id = :wallet_id", {"wallet_id": wallet_id}
    )
    if wallet[0]["balance_minor"] < amount_minor:
        return Declined("insufficient_balance")
    yield Begin()
    shares = share(amount_minor, {"platform_fee_bps": 250, "venue_share_bps": 1000})
    yield from record_sale(wallet_id, terminal_id, amount_minor, shares, operation_id)
    yield Commit()
    taken: Rows = yield debit(wallet_id, amount_minor)
    return Ok() if taken else Declined("insufficient_balance")


def sell_under_another_id(*, operation_id: UUID, wallet_id: int, terminal_id: int, amount_minor: int) -> Steps:
    """Try again under an id of its own when another sale was faster."""
    wallet: Rows = yield Statement(
        "select balance_minor from ghostpass.wallets where id = :wallet_id", {"wallet_id": wallet_id}
    )
    yield Begin()
    seen = wallet[0]["balance_minor"]
    taken: Rows = yield Statement(
        """
        update ghostpass.wallets set balance_minor = balance_minor - :amount
        where id = :wallet_id and balance_minor = :seen returning id
        """,
        {"wallet_id": wallet_id, "amount": 0, "seen": seen},
    )
    if taken:
        yield debit(wallet_id, 100)
    shares = share(100, {"platform_fee_bps": 250, "venue_share_bps": 1000})
    yield from record_sale(wallet_id, terminal_id, 100, shares, operation_id if taken else uuid4())
    yield Commit()
    return Ok()


def sell_logged_first(*, operation_id: UUID, wallet_id: int, terminal_id: int, amount_minor: int) -> Steps:
    """Write the audit row before the sale, in a transaction of its own."""
    wallet: Rows = yield Statement(
        "select balance_minor, nextval('ghostpass.sales_id_seq') as sale_id from ghostpass.wallets where id = :wallet_id",
        {"wallet_id": wallet_id},
    )
    if wallet[0]["balance_minor"] < amount_minor:
        return Declined("insufficient_balance")
    yield log("sold", "sale", wallet[0]["sale_id"], operation_id)
    yield Begin()
    taken: Rows = yield debit(wallet_id, amount_minor)
    if not taken:
        yield Rollback()
        return Declined("insufficient_balance")
    yield Statement(
        """
        insert into ghostpass.sales (id, wallet_id, terminal_id, amount_minor, platform_fee_minor, operation_id)
        overriding system value
        values (:sale_id, :wallet_id, :terminal_id, :amount_minor, 0, :operation_id)
        """,
        {
            "sale_id": wallet[0]["sale_id"],
            "wallet_id": wallet_id,
            "terminal_id": terminal_id,
            "amount_minor": amount_minor,
            "operation_id": operation_id,
        },
    )
    yield Commit()
    return Ok()


class Broken(NamedTuple):
    """An operation, what stands in for it, and the wallet on which two of it meet."""

    invariant: str
    operation: str
    steps: Callable[..., Steps]
    wallet: str


BROKEN = (
    Broken("acknowledged-call-is-stored", "request_funding", request_one_funding, "wallets_2"),
    Broken("call-at-most-once", "scan_out", scan_out_again, "wallets_2"),
    Broken("failed-call-left-nothing", "sell", sell_then_ask, "wallets_1"),
    Broken("row-was-asked-for", "sell", sell_under_another_id, "wallets_1"),
    Broken("audit-has-subject", "sell", sell_logged_first, "wallets_1"),
)


def contest_of(ground: Ground, broken: Broken) -> Contest:
    """Return two calls of the broken operation on the wallet, judged by the one invariant."""
    contests = ground.vary((broken.operation, broken.operation))
    contest = next(each for each in contests if all(call.arguments["wallet_id"] == broken.wallet for call in each.calls))
    checks = tuple(check for check in contest.checks if check.name == f"ghostpass/{broken.invariant}")
    return replace(contest, checks=checks).replacing(replace(OPERATIONS[broken.operation], steps=broken.steps))


def search(arena: Arena, contest: Contest) -> Exploration:
    """Search by invariants alone."""
    program = contest.program()
    judge = Judge(arena.scheduler(), program, is_serial_judged=False)
    return explore(arena.scheduler(), program, budget=Budget(preemptions=1), judge=judge)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.invariant)
def test_a_broken_operation_is_found_by_the_invariant_that_is_about_it(
    arena: Arena, ground: Ground, broken: Broken
) -> None:
    found = search(arena, contest_of(ground, broken))
    assert [alarm.name for alarm in found.hits[0].alarms] == [f"ghostpass/{broken.invariant}"]
    assert found.hits[0].is_repeatable
    assert found.hits[0].preemptions > 0  # one after the other they are right


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.invariant)
def test_the_sound_operation_in_its_place_is_not(arena: Arena, ground: Ground, broken: Broken) -> None:
    contest = contest_of(ground, broken)
    found = search(arena, contest.replacing(OPERATIONS[broken.operation]))
    assert found.hits == ()
    assert found.coverage.bound_completed == 1


def test_every_invariant_of_ghostpass_can_be_asked_in_a_race(ground: Ground) -> None:
    assert ground.left_out == ()
    assert {check.name for check in ground.checks} == {file.name for file in FILES}


# The relations.


def invariant(query: str) -> SqlFile:
    return parse_sql_file(f"-- title: t\n{query}\n", path=Path("ghostpass/given.sql"), name="ghostpass/given")


def make_check(ground: Ground, query: str) -> Check:
    checks, left_out = make_checks([invariant(query)], GHOSTPASS, ground.keys)
    assert left_out == []
    return checks[0]


def four_calls() -> Program:
    """One asks a service and is pushed to, one is declined, of one the second transaction is refused, and of one the
    mint is silent."""

    def told(_keys: Keys, _operation_id: UUID) -> Steps:
        answer = yield Request("processor", {"funding_id": 7, "amount_minor": 500})
        now: Rows = yield Statement("select current_timestamp as now")
        yield Push([{"stream": 3, "sequence": 1, "event_id": 9, "sent_at": now[0]["now"]}])
        return Ok({"is_taken": bool(answer)})

    def declined(_keys: Keys, _operation_id: UUID) -> Steps:
        return Declined("closed")
        yield  # it is a generator

    def unavailable(_keys: Keys, _operation_id: UUID) -> Steps:
        return Unavailable("mint_did_not_answer")
        yield  # it is a generator

    def refused(keys: Keys, _operation_id: UUID) -> Steps:
        yield Statement("update ghostpass.wallets set balance_minor = balance_minor where id = :wallets_1", keys)
        yield Statement("select 1 / 0 as never")
        return Ok()

    return Program(
        (
            Actor("told", told, given=lambda keys: {"wallet_id": keys["wallets_1"]}),
            Actor("declined", declined),
            Actor("refused", refused),
            Actor("unavailable", unavailable),
        ),
        GHOSTPASS.stage or pytest.fail("ghostpass has no stage"),
        services={"processor": lambda payload: {"funding_id": payload["funding_id"]}},
    )


@pytest.fixture(scope="module")
def scheduler(arena: Arena) -> Scheduler:
    return arena.scheduler()


def ask(scheduler: Scheduler, ground: Ground, query: str) -> list[dict[str, object]]:
    """Return what the query finds in the history of `four_calls`, whose rows are in play."""
    check = make_check(ground, query)
    program = replace(four_calls(), checks=(check,))
    run = scheduler.play(program)
    (answer,) = scheduler.ask([check.violations(run.keys, history_of(run, program))])
    return [dict(row) for row in answer.rows]


def test_the_calls_of_a_race_are_a_relation(scheduler: Scheduler, ground: Ground) -> None:
    query = """
        select calls.operation, calls.client, calls.outcome, cast(calls.reply as text) as reply, calls.error,
            cast(calls.arguments ->> 'wallet_id' as bigint) is not null as has_wallet,
            calls.returned_at >= calls.invoked_at as is_returned
        from integrity.calls order by calls.client
    """
    assert ask(scheduler, ground, query) == [
        {
            "operation": "told",
            "client": 1,
            "outcome": "ok",
            "reply": '{"is_taken": true}',
            "error": "",
            "has_wallet": True,
            "is_returned": True,
        },
        {
            "operation": "declined",
            "client": 2,
            "outcome": "declined",
            "reply": '{"reason": "closed"}',
            "error": "",
            "has_wallet": False,
            "is_returned": True,
        },
        {
            "operation": "refused",
            "client": 3,
            "outcome": "unknown",
            "reply": None,
            "error": "22012 division by zero",
            "has_wallet": False,
            "is_returned": None,
        },
        {
            "operation": "unavailable",
            "client": 4,
            "outcome": "unavailable",
            "reply": '{"reason": "mint_did_not_answer"}',
            "error": "",
            "has_wallet": False,
            "is_returned": True,
        },
    ]


def test_requests_and_pushed_events_of_a_race_are_relations(scheduler: Scheduler, ground: Ground) -> None:
    query = """
        select requests.service, cast(requests.payload ->> 'amount_minor' as bigint) as amount_minor, calls.operation
        from integrity.requests join integrity.calls on calls.operation_id = requests.operation_id
    """
    assert ask(scheduler, ground, query) == [{"service": "processor", "amount_minor": 500, "operation": "told"}]
    query = """
        select received.client, received.stream, received.sequence, received.event_id,
            received.sent_at between runs.started_at and runs.ended_at as is_in_the_run
        from integrity.received join integrity.runs on runs.run_id = received.run_id
    """
    assert ask(scheduler, ground, query) == [
        {"client": 1, "stream": 3, "sequence": 1, "event_id": 9, "is_in_the_run": True}
    ]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("select count(*) as wrong from ghostpass.wallets having count(*) < 0", "no column of it says whose rows they are"),
        ("select notes.key from integrity.notes", "it asks integrity.notes, which a race does not have"),
        (
            "with calls as (select 1 as one) select calls.one from calls cross join integrity.calls as made",
            "it has a `with calls` beside integrity.calls",
        ),
    ],
)
def test_what_cannot_be_asked_in_a_race_is_named_with_the_reason(ground: Ground, query: str, reason: str) -> None:
    assert make_checks([invariant(query)], GHOSTPASS, ground.keys) == ([], [LeftOut("ghostpass/given", reason)])
