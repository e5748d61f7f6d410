"""A lent loop: whoever has taken it runs it where it waits, and nothing happens there otherwise."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from integrity.engines.target import Target
from integrity.proxy.gate import Gate
from integrity.proxy.link import Link
from integrity.race.gated.lent_loop import LentLoop
from integrity.race.gated.postgresql.stand import proxy_before

PATIENCE_S = 20.0


@pytest.fixture
def lent() -> Iterator[LentLoop]:
    loop = LentLoop("lent")
    loop.start()
    yield loop
    loop.close()


def test_what_is_asked_of_a_loop_is_done_in_the_thread_that_has_it(lent: LentLoop) -> None:
    done: list[int] = []
    is_done = threading.Event()

    def act() -> None:
        done.append(threading.get_ident())
        lent.stop()
        is_done.set()

    here = threading.get_ident()
    for seconds in (PATIENCE_S, 0.001):  # for so short a time it is waited in another way
        assert lent.take()
        assert lent.take(), "whoever has it may take it"
        lent.call(act)
        assert not is_done.is_set(), "it was done before anybody ran the loop"
        while not done:
            lent.run(seconds)
        assert done.pop() == here
        lent.give_back()
        is_done.clear()
        lent.call(act)
        assert is_done.wait(PATIENCE_S), "its own thread does not run it again"
        assert done.pop() != here
        is_done.clear()


def test_another_thread_lets_whoever_waits_go_on(lent: LentLoop) -> None:
    assert lent.take()
    began = lent.loop.time()
    waker = threading.Thread(target=lent.stop)
    waker.start()
    lent.run(PATIENCE_S)
    waker.join()
    assert lent.loop.time() - began < PATIENCE_S


def test_a_thread_that_runs_another_loop_is_not_given_it(lent: LentLoop) -> None:
    async def ask() -> bool:
        return lent.take()

    assert asyncio.run(ask()) is False
    assert not lent.is_taken


def test_a_proxy_that_cannot_be_made_leaves_no_loop_behind() -> None:
    made: list[LentLoop] = []

    def fail(loop: LentLoop) -> Callable[[Link], Gate]:
        made.append(loop)
        raise ValueError("no gates")

    with pytest.raises(ValueError, match="no gates"), proxy_before(Target.parse("postgresql:///shop"), fail, {}):
        pass
    assert made[0].loop.is_closed()
