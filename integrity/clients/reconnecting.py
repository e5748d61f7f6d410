"""Reconnecting: a run outlives its server's crash. Clients that lost their connection wait, together, until it is back.

Whoever asks a server over HTTP is nobody's pool: the next call is made, and fails where nobody listens. To wait for the
server would hide from every measure that it was gone.
"""

import asyncio
from collections.abc import Callable
from random import Random

from integrity.clients.carrier import Link
from integrity.errors import Unreachable

PAUSE_S_MOST = 1.0
REFUSED_PAUSE_S = 0.1
"""Of a client that nobody answers, before it makes its next call all the same."""
PATIENCE_S = 60.0  # longer than a crash recovery takes; after that the run ends


class Reconnector:
    """Opens connections, again and again for as long as a server may take to come back.

    Args:
        revive: brings the server back if it is ours; called by one client at a time, in a thread.
        is_expected: whether it is to be expected that nobody gets through, as a fault is in force: then patience has no
            end.
        waits: until the connection is open; else the next call is made without one.
    """

    def __init__(
        self, *, revive: Callable[[], object] | None, is_expected: Callable[[], bool] = bool, waits: bool = True
    ) -> None:
        self._waits = waits
        self._revive = revive
        self._is_expected = is_expected
        self._reviving = asyncio.Lock()
        self.count = 0

    async def ensure(self, connection: Link, random: Random) -> None:
        """Return when the connection is open, or after a pause where nobody is to wait for that.

        Raises:
            Unreachable: the server did not come back in time.
        """
        if connection.is_open:
            return
        self.count += 1
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + PATIENCE_S
        pause_s = 0.02
        while True:
            try:
                await connection.open()
            except Unreachable:
                if not self._waits:
                    await asyncio.sleep(REFUSED_PAUSE_S * random.uniform(0.5, 1.0))
                    return
                if self._is_expected():
                    give_up_at = loop.time() + PATIENCE_S
                elif loop.time() >= give_up_at:
                    raise
            else:
                return
            if self._revive is not None and not self._reviving.locked():
                async with self._reviving:
                    await asyncio.to_thread(self._revive)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(PAUSE_S_MOST, pause_s * 2)
