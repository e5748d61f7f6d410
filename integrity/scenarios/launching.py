"""What a race launches in place of an operation's steps: requests in a session of their own, or a command."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from integrity.http.client import Client, Kept, Outcome
from integrity.http.request import Request
from integrity.operation import Ok
from integrity.race.program.program import Keys, Launch
from integrity.race.program.trace import Failed, Return
from integrity.scenarios.answers import as_return

_WORDS_MOST = 200

MakeLaunch = Callable[[Keys, UUID], Launch]


def launch_requests(
    client: Client,
    requests: Sequence[Request],
    *,
    values: Callable[[], Mapping[str, Any]] = dict,
    kept: Callable[[], Kept] = Kept,
    volatile: Sequence[str] = (),
) -> MakeLaunch:
    """Return what sends requests, one behind the other, in a session of its own.

    Args:
        values: for {name} in them, as they are when it begins; keys of the rows go before them.
        kept: what a login left, as it is then.
        volatile: fields of answers that are compared with nothing.
    """

    def launch(keys: Keys, _operation_id: UUID) -> Launch:
        def begin(tell: Callable[[Return], None]) -> None:
            def told(outcome: Outcome) -> None:
                tell(as_return(outcome, volatile=volatile))

            client.call(kept(), requests, {**values(), **keys}, told)

        return begin

    return launch


class Commands:
    """Commands that are actors, each started anew for every schedule; those that still run are ended by `close`.

    Args:
        folder: that they are given in.
        environment: theirs, which leads them to the database.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._threads: list[threading.Thread] = []

    def launch(self, command: str, *, values: Callable[[], Mapping[str, Any]] = dict) -> MakeLaunch:
        """Return what begins a command: it took effect where it ends with 0.

        Args:
            values: are variables of its environment, in capital letters.
        """

        def launch(keys: Keys, _operation_id: UUID) -> Launch:
            def begin(tell: Callable[[Return], None]) -> None:
                variables = {each.upper(): str(value) for each, value in {**values(), **keys}.items()}
                thread = threading.Thread(target=lambda: tell(self._run(command, variables)), name="integrity command")
                self._threads.append(thread)
                thread.start()

            return begin

        return launch

    def close(self) -> None:
        """End what still runs."""
        for process in list(self._running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for thread in self._threads:
            thread.join()

    def _run(self, command: str, variables: Mapping[str, str]) -> Return:
        try:
            process = subprocess.Popen(  # noqa: S603  the user's own command is what was asked for
                ["/bin/sh", "-c", command],
                cwd=self._folder,
                env={**os.environ, **self._environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return Failed(None, f"OSError: {error.strerror}")
        self._running.add(process)
        try:
            printed, _ = process.communicate()
        finally:
            self._running.discard(process)
        last = (printed.decode("utf-8", "replace").strip().splitlines() or [""])[-1][:_WORDS_MOST]
        return Ok({"printed": last}) if process.returncode == 0 else Failed(None, f"exit {process.returncode}: {last}")
