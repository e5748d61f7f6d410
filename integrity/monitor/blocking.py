"""Who waits for whom: pairs of waiter and blocker, as the server names them, put together into trees."""

from collections.abc import Mapping, Sequence
from typing import Any

Pair = Mapping[str, Any]
PREPARED = 0
"""The server's word for a blocker that is no session: a prepared transaction."""


def find_roots(pairs: Sequence[Pair]) -> dict[int, set[int]]:
    """Return who waits for nobody and holds others up, with all those that wait behind: pid -> pids.

    Where all wait for each other (the server is about to find a deadlock) the smallest pid stands for the root.
    """
    waiters_of: dict[int, set[int]] = {}
    for pair in pairs:
        waiters_of.setdefault(pair["blocker"], set()).add(pair["pid"])
    waiting = {pair["pid"] for pair in pairs}
    roots = {blocker: _behind(blocker, waiters_of) for blocker in waiters_of if blocker not in waiting}
    rest = waiting - set().union(*roots.values()) if roots else set(waiting)
    while rest:
        root = min(rest & waiters_of.keys(), default=min(rest))
        roots[root] = _behind(root, waiters_of) - {root}
        rest -= roots[root] | {root}
    return roots


def draw(pairs: Sequence[Pair]) -> list[str]:
    """Return the trees as indented lines: each waiter once, below the one of its blockers that is nearest to the root."""
    by_blocker: dict[int, list[Pair]] = {}
    for pair in pairs:
        by_blocker.setdefault(pair["blocker"], []).append(pair)
    placed: set[int] = set()
    lines: list[str] = []

    def write(below: Mapping[int, Sequence[Pair]], blocker: int, depth: int) -> None:
        for pair in below.get(blocker, ()):
            who = name_session(pair["pid"], pair["waiter"])
            lines.append(f"{'  ' * depth}{who} waits {pair['waited_s']:.1f} s for {what(pair)}: {_flat(pair['statement'])}")
            write(below, pair["pid"], depth + 1)

    for root in sorted(find_roots(pairs)):
        placed.add(root)
        below: dict[int, list[Pair]] = {}
        level = [root]
        while level:
            reached = []
            for blocker in level:
                for pair in by_blocker.get(blocker, ()):
                    if pair["pid"] not in placed:
                        placed.add(pair["pid"])
                        below.setdefault(blocker, []).append(pair)
                        reached.append(pair["pid"])
            level = reached
        lines.append(describe_blocker(by_blocker[root][0]))
        write(below, root, 1)
    return lines


def describe_blocker(pair: Pair) -> str:
    """Return the pair's blocker in words."""
    if pair["blocker"] == PREPARED:
        return "a prepared transaction (see pg_prepared_xacts)"
    since = pair["blocker_transaction_s"]
    doing = f", {pair['blocker_state']}" if pair["blocker_state"] else ""
    age = f", its transaction {since:.1f} s old" if since is not None else ""
    said = f": {_flat(pair['blocker_statement'])}" if pair["blocker_statement"] else ""
    return f"{name_session(pair['blocker'], pair['blocker_name'])}{doing}{age}{said}"


def name_session(pid: int, application: str | None) -> str:
    return f"{application or 'session'} (pid {pid})"


def what(pair: Pair) -> str:
    """Return what the waiter waits for."""
    if pair["relation"]:
        return str(pair["relation"])
    return f"{'an advisory lock' if pair['locktype'] == 'advisory' else 'the end of a transaction'}"


def _flat(statement: str) -> str:
    return " ".join(statement.split())


def _behind(root: int, waiters_of: Mapping[int, set[int]]) -> set[int]:
    found: set[int] = set()
    ahead = [root]
    while ahead:
        new = waiters_of.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return found
