"""A connection, as carrying out operations needs one; the module of its engine's name in this room makes it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from integrity.engines.known import find_part
from integrity.engines.target import Target
from integrity.faults.conduct import Conduct
from integrity.operation import Begin, Rows, Value


class Connection(Protocol):
    """A connection as the driver needs it. Whatever is refused is a StatementFailed; its sqlstate None: cut off."""

    attempts_most: int

    @property
    def is_open(self) -> bool: ...

    async def open(self) -> None:
        """Connect; raise Unreachable when that is not possible."""

    async def begin(self, begin: Begin) -> None:
        """Open a transaction; it may travel with the next statement, which then raises what the server has against it."""

    async def begin_now(self) -> None:
        """Send a begin that still waits for a statement: time passes before there is one."""

    async def execute(self, sql: str, parameters: Mapping[str, Value]) -> Rows: ...

    async def has_written(self) -> bool:
        """Return whether the open transaction has written, or locked rows; False where no query's function could."""

    async def commit(self) -> None: ...

    async def rollback(self) -> None: ...

    def abort(self) -> None:
        """Close abruptly, as when the client's process dies: nothing more is sent, what is under way is not awaited."""

    async def close(self) -> None: ...


def make_connection(
    target: Target,
    namespaces: Sequence[str],
    *,
    conduct: Conduct | None = None,
    startup: Mapping[str, str] = {},
    has_fine_clock: bool = False,
) -> Connection:
    """Return a connection that carries out operations, not yet open.

    Args:
        namespaces: the schemas of the system that is driven.
        conduct: whose session settings hold from the next transaction on; None: the server's own hold.
        startup: what the server is asked to set as the session begins.
        has_fine_clock: times are told to the microsecond also where the database's own clock is coarser.
    """
    part = find_part("integrity.clients", target.dialect, serves="load")
    made: Connection = part.make_connection(
        target, namespaces, conduct=conduct, startup=startup, has_fine_clock=has_fine_clock
    )
    return made
