"""A process of ours beside one of Locust's, and the messages between the two."""

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import gevent
import orjson
from gevent import socket
from gevent.lock import RLock

ENDS_WITHIN_S = 10.0
"""So long a process may take that is to end; then it is killed."""


class Pipe:
    """A process, and both ways to it.

    Args:
        command: what Python is to run; behind it comes the number of an open socket, whose other end is ours.
        take: told each message that it sends.
        closed: told when it has nothing more to say.
    """

    def __init__(
        self, command: Sequence[str], *, take: Callable[[Mapping[str, Any]], None], closed: Callable[[], None]
    ) -> None:
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(  # noqa: S603  ourselves
            [sys.executable, "-m", *command, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C comes to Locust, which tells us when it is over
        )
        theirs.close()
        self._socket = ours
        self._turn = RLock()
        self._take, self._closed = take, closed
        self._reading = gevent.spawn(self._read)

    def tell(self, kind: str, **what: Any) -> None:
        """Tell the process, if it is there."""
        with self._turn:
            try:
                self._socket.sendall(orjson.dumps({"kind": kind, **what}, option=orjson.OPT_APPEND_NEWLINE))
            except OSError:
                return  # `closed` is told

    def end(self) -> int:
        """Return its exit code, when it has ended; it is made to where it does not."""
        with suppress(OSError):  # it has closed already
            self._socket.shutdown(socket.SHUT_RDWR)
        try:
            return self.process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            return self.process.wait()

    def _read(self) -> None:
        with suppress(OSError), self._socket.makefile("rb") as lines:  # it is gone, or we are done with it
            for line in lines:
                self._take(orjson.loads(line))
        self._closed()
