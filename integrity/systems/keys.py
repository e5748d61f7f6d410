"""The keys of a system: what its calls may name, pool by pool, as a database holds them."""

from integrity.domain import Key
from integrity.engines.snapshot import QueryFailed
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import quote
from integrity.operation import Row
from integrity.systems.made_rows import find_table
from integrity.systems.reflect import Reflected
from integrity.systems.system import System

TIMEOUT_S = 300


def read_keys(target: Target, system: System) -> dict[str, list[Key]]:
    """Return the system's pools of keys.

    Raises:
        Unreachable: no connection.
        DatabaseError: the database refuses a pool's query.
    """
    spelled = target.engine.spelling.statement
    questions = {pool: spelled(query) for pool, query in system.pools.items()}
    with target.open_snapshot(connections=1, timeout_s=TIMEOUT_S) as snapshot:
        read = snapshot.sessions[0].read
        keys: dict[str, list[Key]] = {}
        for pool, query in questions.items():
            try:
                keys[pool] = [_key(row, system, pool) for row in read(query)]
            except QueryFailed as failed:
                of, asked = f"pool {quote(pool)} of system {system.name}", " ".join(system.pools[pool].split())
                raise refusal(target, Exception(failed.reason), of=of, hint=f"It asks: {asked}") from None
        return keys


def _key(row: Row, system: System, pool: str) -> Key:
    """Return the key that a row of a pool is: of the primary key of a table that was reflected all columns."""
    values = tuple(row.values())
    table = find_table(system.metadata, pool) if isinstance(system.metadata, Reflected) else None
    is_whole = table is not None and len(table.primary_key.columns) == len(values) > 1
    key: Key = values if is_whole else values[0]
    return key
