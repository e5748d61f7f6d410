"""Pairs of waiter and blocker come together as trees, with the one that has to end at the top."""

from typing import Any

from integrity.monitor.blocking import draw, find_roots


def pair(pid: int, blocker: int) -> dict[str, Any]:
    return {
        "pid": pid, "blocker": blocker, "locktype": "tuple", "relation": "shop.wallets", "waited_s": 1.0, "waiter": "app",
        "statement": f"update {pid}", "blocker_name": "psql", "blocker_state": "active",
        "blocker_statement": f"do {blocker}", "blocker_transaction_s": 2.0,
    }  # fmt: skip


def test_a_root_waits_for_nobody_and_holds_up_all_that_are_behind_it() -> None:
    assert find_roots([pair(2, 1), pair(3, 2), pair(4, 2), pair(9, 8)]) == {1: {2, 3, 4}, 8: {9}}
    assert find_roots([]) == {}


def test_a_cycle_has_its_smallest_session_for_a_root() -> None:
    assert find_roots([pair(2, 3), pair(3, 2)]) == {2: {3}}
    assert find_roots([pair(2, 1), pair(5, 6), pair(6, 5)]) == {1: {2}, 5: {6}}


def test_a_waiter_is_drawn_once_below_the_blocker_that_is_nearest_to_the_root() -> None:
    """The server names those ahead in the queue as blockers, too."""
    lines = draw([pair(2, 1), pair(3, 1), pair(3, 2), pair(4, 3)])
    assert lines == [
        "psql (pid 1), active, its transaction 2.0 s old: do 1",
        "  app (pid 2) waits 1.0 s for shop.wallets: update 2",
        "  app (pid 3) waits 1.0 s for shop.wallets: update 3",
        "    app (pid 4) waits 1.0 s for shop.wallets: update 4",
    ]


def test_a_prepared_transaction_and_an_advisory_lock_are_named_as_such() -> None:
    waiting = pair(2, 0) | {"relation": None, "locktype": "advisory"}
    assert draw([waiting]) == [
        "a prepared transaction (see pg_prepared_xacts)",
        "  app (pid 2) waits 1.0 s for an advisory lock: update 2",
    ]
