"""The driver concludes from what a client can know, and never more: no false "failed", no false "ok"."""

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any
from uuid import UUID

import pytest

from integrity.clients.carrier import Abandon
from integrity.clients.driver import Driver
from integrity.errors import Unreachable
from integrity.history import Outcome, Returned
from integrity.operation import (
    Begin,
    Commit,
    Declined,
    Ok,
    Operation,
    Request,
    Rollback,
    Rows,
    Statement,
    StatementFailed,
    Steps,
    Unavailable,
    Value,
)
from integrity.systems.service import Reaction

LOST: StatementFailed = StatementFailed("server closed the connection", sqlstate=None)
SERIALIZATION = StatementFailed("could not serialize access", sqlstate="40001")
DEADLOCK = StatementFailed("deadlock detected", sqlstate="40P01")
TOOK_TOO_LONG = StatementFailed("canceling statement due to statement timeout", sqlstate="57014")
UNIQUE = StatementFailed("duplicate key", sqlstate="23505")


class Scripted:
    """A connection that does as it is told: at the n-th step that reaches it, it raises what the script says."""

    attempts_most = 3

    def __init__(
        self, script: Mapping[int, Exception] | None = None, *, comes_back: bool = True, is_full: bool = False
    ) -> None:
        self.said: list[str] = []
        self.is_open = True
        self._script = dict(script or {})
        self._comes_back = comes_back
        self._is_full = is_full

    async def open(self) -> None:
        if not self._comes_back:
            raise Unreachable("nobody there", is_full=self._is_full)
        self.said.append("open")
        self.is_open = True

    async def _say(self, word: str) -> None:
        self.said.append(word)
        failure = self._script.get(len(self.said))
        if failure is not None:
            self.is_open = self.is_open and failure is not LOST
            raise failure

    async def begin(self, begin: Begin) -> None:
        await self._say("begin")

    async def begin_now(self) -> None:
        self.said.append("begin now")

    async def execute(self, sql: str, parameters: Mapping[str, Value]) -> Rows:
        await self._say(sql)
        return [{"n": 1}]

    async def has_written(self) -> bool:
        return False

    async def commit(self) -> None:
        await self._say("commit")

    async def rollback(self) -> None:
        await self._say("rollback")

    def abort(self) -> None:
        self.said.append("abort")
        self.is_open = False

    async def close(self) -> None:
        self.is_open = False


def one_transaction(*, operation_id: UUID) -> Steps:
    yield Begin()
    rows = yield Statement("a")
    yield Statement("b")
    yield Commit()
    return Ok({"n": rows[0]["n"]})


def by_itself(*, operation_id: UUID) -> Steps:
    yield Statement("a")
    yield Statement("b")
    return Ok()


def two_transactions(*, operation_id: UUID) -> Steps:
    yield Begin()
    yield Statement("a")
    yield Commit()
    yield Begin()
    yield Statement("b")
    yield Commit()
    return Ok()


def forgiving(*, operation_id: UUID) -> Steps:
    """Look the other way when the row is there already."""
    yield Begin()
    try:
        yield Statement("a")
    except StatementFailed as failure:
        yield Rollback()
        return Declined(f"refused {failure.sqlstate}")
    yield Commit()
    return Ok()


def never_committing(*, operation_id: UUID) -> Steps:
    yield Begin()
    yield Statement("a")
    return Declined("changed my mind")


def asking(*, operation_id: UUID) -> Steps:
    answer = yield Request("mint", {"sats": 5})
    return Ok({"answer": answer["word"]})


def put_off(*, operation_id: UUID) -> Steps:
    yield Statement("a")
    return Unavailable("mint_did_not_answer")


def broken(*, operation_id: UUID) -> Steps:
    yield Begin()
    yield Statement("a")
    raise KeyError("no such row")


def drive(steps: Callable[..., Steps], connection: Scripted, abandon: Abandon | None = None) -> Returned:
    driver = Driver(connection, Random(1))
    arguments: dict[str, Any] = {"operation_id": UUID(int=1)}
    call = driver.call(Operation("op", steps, {}), arguments, lambda request: Reaction({"word": "yes"}), abandon)
    return asyncio.run(call)


def test_an_answered_call_is_ok_with_its_reply() -> None:
    connection = Scripted()

    assert drive(one_transaction, connection) == Returned(Outcome.OK, {"n": 1}, "", 1)
    assert connection.said == ["begin", "a", "b", "commit"]


@pytest.mark.parametrize(
    ("steps", "at", "failure", "outcome"),
    [
        (one_transaction, 1, LOST, Outcome.FAILED),
        (one_transaction, 2, LOST, Outcome.FAILED),
        (one_transaction, 4, LOST, Outcome.UNKNOWN),
        (one_transaction, 2, UNIQUE, Outcome.FAILED),
        (one_transaction, 4, UNIQUE, Outcome.FAILED),
        (by_itself, 1, UNIQUE, Outcome.FAILED),
        (by_itself, 1, LOST, Outcome.UNKNOWN),
        (by_itself, 2, UNIQUE, Outcome.UNKNOWN),
        (two_transactions, 5, UNIQUE, Outcome.UNKNOWN),
        (two_transactions, 5, LOST, Outcome.UNKNOWN),
        (two_transactions, 5, DEADLOCK, Outcome.UNKNOWN),
    ],
)
def test_a_call_without_answer_is_failed_only_when_nothing_can_have_been_committed(
    steps: Callable[..., Steps], at: int, failure: StatementFailed, outcome: Outcome
) -> None:
    returned = drive(steps, Scripted({at: failure}))

    assert returned.outcome is outcome
    assert returned.reply is None
    assert returned.error == (f"{failure.sqlstate} {failure}" if failure.sqlstate else f"connection lost: {failure}")


def test_what_others_did_not_give_is_unavailable_for_the_operations_reason_whatever_was_written_down() -> None:
    assert drive(put_off, Scripted()) == Returned(Outcome.UNAVAILABLE, {"reason": "mint_did_not_answer"}, "", 1)


def test_what_the_server_has_no_time_for_is_unavailable_for_its_reason() -> None:
    returned = drive(one_transaction, Scripted({2: TOOK_TOO_LONG}))

    assert (returned.outcome, returned.reply) == (Outcome.UNAVAILABLE, {"reason": "query_canceled"})
    assert returned.error == f"57014 {TOOK_TOO_LONG}"


def test_what_the_server_has_no_time_for_once_something_was_committed_is_unknown() -> None:
    assert drive(by_itself, Scripted({2: TOOK_TOO_LONG})).outcome is Outcome.UNKNOWN


def test_a_server_that_has_no_connection_to_give_back_makes_the_call_unavailable() -> None:
    connection = Scripted(comes_back=False, is_full=True)
    connection.is_open = False

    returned = drive(one_transaction, connection)

    assert (returned.outcome, returned.reply) == (Outcome.UNAVAILABLE, {"reason": "too_many_connections"})


@pytest.mark.parametrize("failure", [SERIALIZATION, DEADLOCK])
@pytest.mark.parametrize("at", [2, 4])
def test_serialization_failures_and_deadlocks_start_again_and_are_counted(failure: StatementFailed, at: int) -> None:
    connection = Scripted({at: failure})

    assert drive(one_transaction, connection) == Returned(Outcome.OK, {"n": 1}, "", 2)
    assert connection.said[at:] == [*(["rollback"] if at == 2 else []), "begin", "a", "b", "commit"]


def test_a_begin_that_collides_once_something_was_committed_is_tried_again_by_itself_and_counted() -> None:
    connection = Scripted({4: SERIALIZATION, 5: SERIALIZATION})

    assert drive(two_transactions, connection) == Returned(Outcome.OK, {}, "", 3)
    assert connection.said == ["begin", "a", "commit", "begin", "begin", "begin", "b", "commit"]


def test_a_begin_is_not_tried_for_ever_nor_on_a_connection_that_was_lost() -> None:
    collided = drive(two_transactions, Scripted(dict.fromkeys(range(4, 20), SERIALIZATION)))
    lost = drive(two_transactions, Scripted({4: LOST}))

    assert (collided.outcome, collided.attempts, collided.error) == (Outcome.UNKNOWN, 3, f"40001 {SERIALIZATION}")
    assert (lost.outcome, lost.attempts) == (Outcome.UNKNOWN, 1)


def test_an_accident_of_the_driver_at_commit_is_unknown_and_before_it_failed() -> None:
    accident = RuntimeError("cannot switch to state 15")

    assert drive(one_transaction, Scripted({4: accident})).outcome is Outcome.UNKNOWN
    assert drive(one_transaction, Scripted({2: accident})).outcome is Outcome.FAILED


def test_starting_again_ends_and_is_a_failure_then() -> None:
    returned = drive(one_transaction, Scripted({2: DEADLOCK, 5: DEADLOCK, 8: DEADLOCK}))

    assert (returned.outcome, returned.attempts) == (Outcome.FAILED, 3)
    assert returned.error == "40P01 deadlock detected (after 3 attempts)"


def test_an_operation_may_handle_a_refusal_itself() -> None:
    connection = Scripted({2: UNIQUE})

    assert drive(forgiving, connection) == Returned(Outcome.DECLINED, {"reason": "refused 23505"}, "", 1)
    assert connection.said == ["begin", "a", "rollback"]


def test_what_an_operation_leaves_open_is_rolled_back() -> None:
    connection = Scripted()

    assert drive(never_committing, connection).outcome is Outcome.DECLINED
    assert connection.said == ["begin", "a", "rollback"]


def test_an_operation_that_breaks_has_failed_and_is_rolled_back() -> None:
    connection = Scripted()

    returned = drive(broken, connection)

    assert returned.outcome is Outcome.FAILED
    line = broken.__code__.co_firstlineno + 3
    assert returned.error.startswith("the operation raised KeyError: 'no such row' (")
    assert returned.error.endswith(f"test_clients_driver.py:{line}, in broken)")
    assert connection.said[-1] == "rollback"


def without_reply(*, operation_id: UUID) -> Any:
    yield Begin()
    yield Statement("a")
    yield Commit()


def with_what_is_no_step(*, operation_id: UUID) -> Any:
    yield "begin"
    return Ok()


def test_an_operation_that_returns_no_reply_is_told_and_what_it_committed_is_unknown() -> None:
    returned = drive(without_reply, Scripted())

    assert returned.outcome is Outcome.UNKNOWN
    assert "it returned None, which is none of Ok, Declined and Unavailable" in returned.error


def test_an_operation_that_yields_no_step_has_failed() -> None:
    returned = drive(with_what_is_no_step, Scripted())

    assert (returned.outcome, returned.reply) == (Outcome.FAILED, None)
    assert "it yielded 'begin', which is no step" in returned.error


def test_an_operation_that_does_not_take_its_arguments_has_failed() -> None:
    returned = drive(lambda: iter(()), Scripted())  # type: ignore[arg-type, return-value]  # a user's mistake

    assert returned.outcome is Outcome.FAILED
    assert "unexpected keyword argument 'operation_id'" in returned.error


def test_a_request_is_answered_by_the_service() -> None:
    assert drive(asking, Scripted()).reply == {"answer": "yes"}


def test_an_operation_that_goes_on_after_its_connection_was_lost_gets_a_new_one() -> None:
    def stubborn(*, operation_id: UUID) -> Steps:
        try:
            yield Statement("a")
        except StatementFailed:
            yield Statement("a")
        return Ok()

    connection = Scripted({1: LOST})

    assert drive(stubborn, connection).outcome is Outcome.OK
    assert connection.said == ["a", "open", "a"]


def test_a_transaction_is_not_gone_on_with_on_a_new_connection() -> None:
    def careless(*, operation_id: UUID) -> Steps:
        yield Begin()
        try:
            yield Statement("a")
        except StatementFailed:
            yield Statement("b")
        yield Commit()
        return Ok()

    connection = Scripted({2: LOST, 3: LOST})

    assert drive(careless, connection).outcome is Outcome.FAILED
    assert "commit" not in connection.said


def test_a_server_that_does_not_come_back_fails_the_call() -> None:
    connection = Scripted(comes_back=False)
    connection.is_open = False

    returned = drive(one_transaction, connection)

    assert (returned.outcome, returned.error) == (Outcome.FAILED, "connection lost: nobody there")


@pytest.mark.parametrize(
    ("steps", "abandon", "outcome", "said"),
    [
        (one_transaction, Abandon(0), Outcome.FAILED, ["abort"]),
        (one_transaction, Abandon(2), Outcome.FAILED, ["begin", "a", "abort"]),
        (one_transaction, Abandon(2, in_flight=True), Outcome.FAILED, ["begin", "a", "b", "abort"]),
        (one_transaction, Abandon(3), Outcome.FAILED, ["begin", "a", "b", "abort"]),
        (one_transaction, Abandon(3, in_flight=True), Outcome.UNKNOWN, ["begin", "a", "b", "commit", "abort"]),
        (one_transaction, Abandon(None), Outcome.UNKNOWN, ["begin", "a", "b", "commit", "abort"]),
        (by_itself, Abandon(0, in_flight=True), Outcome.UNKNOWN, ["a", "abort"]),
        (two_transactions, Abandon(None), Outcome.UNKNOWN, ["begin", "a", "commit", "abort"]),
        (two_transactions, Abandon(4), Outcome.UNKNOWN, ["begin", "a", "commit", "begin", "abort"]),
    ],
)
def test_a_client_that_dies_leaves_failed_or_unknown_and_sends_nothing_more(
    steps: Callable[..., Steps], abandon: Abandon, outcome: Outcome, said: list[str]
) -> None:
    connection = Scripted()

    returned = drive(steps, connection, abandon)

    assert (returned.outcome, returned.was_abandoned) == (outcome, True)
    assert returned.error.startswith("abandoned: the client died ")
    assert connection.said == said


def test_a_client_that_was_to_die_later_than_the_call_lasts_lives() -> None:
    assert drive(one_transaction, Scripted(), Abandon(4)).outcome is Outcome.OK


def test_commits_that_wrote_are_timed_and_no_others() -> None:
    def reading(*, operation_id: UUID) -> Steps:
        yield Begin()
        yield Statement("select a for update")
        yield Commit()
        yield Statement("select b")
        return Ok()

    assert len(drive(one_transaction, Scripted()).writes_ms) == 1
    assert len(drive(two_transactions, Scripted()).writes_ms) == 2
    assert len(drive(by_itself, Scripted()).writes_ms) == 2
    assert drive(reading, Scripted()).writes_ms == ()
    assert drive(never_committing, Scripted()).writes_ms == ()


def test_a_begin_that_waits_for_a_statement_is_sent_before_time_passes_without_one() -> None:
    def asking_first(*, operation_id: UUID) -> Steps:
        yield Begin()
        yield Request("mint", {})
        yield Statement("a")
        yield Commit()
        return Ok()

    connection = Scripted()
    assert (drive(asking_first, connection).outcome, connection.said) == (Outcome.OK, ["begin", "begin now", "a", "commit"])
