"""Reconnecting: a run outlives its server's crash. Clients that lost their connection wait, together, until it is back."""

import asyncio
from collections.abc import Callable
from random import Random

from integrity.errors import Unreachable
from integrity.workload.driver import Connection

PAUSE_S_MOST = 1.0


class Reconnector:
    """Opens connections, again and again for as long as the server may take to come back.

    Args:
        revive: brings the server back if it is ours; called by one client at a time, in a thread.
        patience_s: how long a server may be away before the run ends.
    """

    def __init__(self, *, revive: Callable[[], object] | None, patience_s: float = 60.0) -> None:
        self._revive = revive
        self._patience_s = patience_s
        self._reviving = asyncio.Lock()
        self.count = 0

    async def ensure(self, connection: Connection, random: Random) -> None:
        """Return when the connection is open.

        Raises:
            Unreachable: the server did not come back in time.
        """
        if connection.is_open:
            return
        self.count += 1
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._patience_s
        pause_s = 0.02
        while True:
            try:
                await connection.open()
            except Unreachable:
                if loop.time() >= give_up_at:
                    raise
            else:
                return
            if self._revive is not None and not self._reviving.locked():
                async with self._reviving:
                    await asyncio.to_thread(self._revive)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(PAUSE_S_MOST, pause_s * 2)
