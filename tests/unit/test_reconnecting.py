"""Who lost a connection waits for a database to come back; who asks a server over HTTP makes its next call all the same."""

import asyncio
from random import Random

import pytest

from integrity.clients import reconnecting
from integrity.clients.reconnecting import Reconnector
from integrity.errors import Unreachable


class Link:
    """It opens at the third try."""

    is_open = False
    tries = 0

    async def open(self) -> None:
        self.tries += 1
        if self.tries < 3:
            raise Unreachable("connection refused")
        self.is_open = True

    def abort(self) -> None: ...

    async def close(self) -> None: ...


@pytest.mark.parametrize(("waits", "tries"), [(True, 3), (False, 1)])
def test_only_a_database_is_waited_for(waits: bool, tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnecting, "REFUSED_PAUSE_S", 0.001)
    link = Link()
    asyncio.run(Reconnector(revive=None, waits=waits).ensure(link, Random(1)))
    assert (link.tries, link.is_open) == (tries, waits)
