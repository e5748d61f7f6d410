"""Accepting: whether somebody takes our connections at an address, though no session comes of it.

A server whose catalogue is locked (`lock table pg_class`, `vacuum full` of it), that is stopped, or that has no time takes
a connection and says nothing: libpq's timeout reads as if the host were wrong. How far it came tells the two apart.
"""

import select
import time

from psycopg import pq

_NOT_YET = frozenset({pq.ConnStatus.BAD, pq.ConnStatus.STARTED, pq.ConnStatus.NEEDED})
PATIENCE_S = 1.0


def is_accepted(address: str, *, patience_s: float = PATIENCE_S) -> bool:
    """Whether a connection is taken there, answered or not.

    Args:
        address: as libpq takes it, with its passwords.
    """
    connection = pq.PGconn.connect_start(address.encode())
    deadline = time.monotonic() + patience_s
    try:
        while connection.status != pq.ConnStatus.BAD:
            polled = connection.connect_poll()
            if connection.status not in _NOT_YET:
                return True
            left = deadline - time.monotonic()
            if left <= 0 or polled not in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
                return False
            is_reading = polled == pq.PollingStatus.READING
            select.select([connection.socket] * is_reading, [connection.socket] * (not is_reading), [], left)
        return False
    finally:
        connection.finish()
