"""The structure of btree indexes, as amcheck sees it: one that is out of order, or lacks rows, answers queries wrongly.

`bt_index_check` locks nobody out (it reads as a select does, on a standby as well) and is asked of each index with the rows
of its table, the smallest first, for as long as its time allows. What was not looked at is said, and is no pass. amcheck is
installed by nobody but its owner; on the embedded server, for the transaction in which it is asked and that is rolled back.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from integrity.errors import DatabaseError
from integrity.health.check import HealthCheck, failed, ok, some, warning
from integrity.health.server import IndexState, Server
from integrity.numbers import counted

NAME = "index structure"
TIME_MOST_S = 5.0
PG_AMCHECK = "pg_amcheck --heapallindexed --database=… looks at all of them"


@dataclass(slots=True)
class _Seen:
    """What came of each index."""

    sound: int = 0
    corrupt: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)

    def add(self, index_name: str, state: IndexState) -> None:
        if state.is_corrupt:
            self.corrupt.append(f"{index_name} ({state.reason})")
        elif state.reason:
            self.unasked.append(f"{index_name} ({state.reason})")
        else:
            self.sound += 1


def check_structure(server: Server) -> Iterator[HealthCheck]:
    """Yield what amcheck says of the indexes, or why it was not asked."""
    checker = server.ask("index-checker")[0]
    schema = checker["schema_name"]
    if schema is None and not checker["is_available"]:
        yield warning(NAME, "not looked at: the server has no amcheck", "Install the server's contrib modules.")
    elif schema is None and not checker["is_embedded"]:
        found = "not looked at: the extension amcheck is not installed in this database"
        yield warning(NAME, found, "As a superuser: create extension amcheck")
    elif schema is not None and not checker["may_execute"]:
        grant = f"grant execute on function {schema}.bt_index_check(regclass, boolean) to {checker['role_name']}"
        yield warning(NAME, "not looked at: this role may not call amcheck's bt_index_check", grant)
    elif schema is not None:
        yield _look(server, schema)
    else:
        try:
            with server.borrowing_amcheck() as lent:
                yield _look(server, lent)
        except DatabaseError as error:
            yield warning(NAME, f"not looked at: {error.message}", "As a superuser: create extension amcheck")


def _look(server: Server, schema: str) -> HealthCheck:
    began, seen = time.monotonic(), _Seen()
    rows = server.ask("btree-indexes")
    for row in rows:
        left_s = began + TIME_MOST_S - time.monotonic()
        state = IndexState("no time left") if left_s <= 0 else server.check_index(schema, row["index_id"], left_s)
        if state is not None:
            seen.add(row["index_name"], state)
    many = f"{counted(seen.sound, 'btree index', 'btree indexes')} in order and complete"
    unasked = f"; {len(seen.unasked)} not looked at: {some(seen.unasked, most=3)}" if seen.unasked else ""
    if seen.corrupt:
        hint = (
            "reindex index concurrently …; rows that a unique one let in twice come first, and the disk is to be doubted."
        )
        return failed(NAME, f"{len(seen.corrupt)} corrupt: {some(seen.corrupt, most=3)}; {many}{unasked}", hint)
    if seen.unasked:
        return warning(NAME, f"{many}{unasked}", f"{TIME_MOST_S:.0f} s were given to all; {PG_AMCHECK}.")
    return ok(NAME, many if rows else "no btree index to look at")
