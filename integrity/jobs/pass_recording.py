"""Recording a serial pass of somebody's tests: on a copy of the database, through our proxy.

    with recording(target) as pass_:
        run_command(["pytest", "-q"], pass_.environment, folder)
    learned = listen(learn_pass(pass_, target, project))

The suite finds the copy at DATABASE_URL and by libpq's variables. Our plugin for pytest says which test is at work, also in
a process of its own, by a file that a variable names; of another runner every transaction is taken for the application's.
"""

import os
import signal
import subprocess
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import listen
from integrity.proxy.postgresql.session import options_with
from integrity.race.gated.postgresql.scribe import Pass, Transaction
from integrity.race.gated.postgresql.stand import proxy_before, spread_sequences
from integrity.race.rows.postgresql.copy import drop_beside, make_copy, reserve_copy
from integrity.scenarios.app import database_environment

TESTS_VARIABLE = "INTEGRITY_RACE_TESTS"
"""Names the file in which our plugin notes, a line each, when which test was at what."""
CALL = "call"
"""The phase of a test in which its body runs; in the others its fixtures are made and unmade."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A pass that is being recorded, or was.

    Args:
        through: the copy, as the suite must reach it.
        environment: tells it that.
        tests: the file of TESTS_VARIABLE.
    """

    database: str
    through: Target
    written: Pass
    environment: Mapping[str, str]
    tests: Path
    _moments: list[tuple[int, str, str]] = field(default_factory=list)

    def test_of(self, transaction: Transaction) -> tuple[str, str]:
        """Return the phase, and the name of the test that was at work when a transaction ended; empty: nobody said."""
        if not self._moments:
            return "", ""
        place = bisect_right(self._moments, transaction.ended_ns, key=lambda moment: moment[0])
        return self._moments[place - 1][1:] if place else ("setup", "")

    def read_tests(self) -> None:
        """Read which test was at work when; the suite is over."""
        if self.tests.exists():
            for line in self.tests.read_text("utf-8").splitlines():
                at_ns, phase, name = line.split("\t", 2)
                self._moments.append((int(at_ns), phase, name))


@contextmanager
def recording(target: Target) -> Iterator[Recorded]:
    """Yield a pass to be made, on a copy that is dropped behind it.

    Raises:
        UsageError: no proxy can stand before it, or the database is too large to be copied.
        DatabaseError: the server is gone, or the role may not make a copy.
    """
    if not target.engine.speaks_postgresql:
        raise UsageError(
            f"{target}: tests are recorded through a proxy that speaks PostgreSQL's protocol",
            hint="Name the suite's PostgreSQL database: --database URL",
        )
    written = Pass()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="integrity-pass-")))
        place = stack.enter_context(reserve_copy(target))
        copy = listen(make_copy(place)).target
        stack.enter_context(spread_sequences(copy))
        proxy = stack.enter_context(proxy_before(copy, lambda _loop: written.gate_of, {}))
        through = proxy.target(copy)
        tests = folder / "tests"
        environment = {
            **database_environment(through.text),
            # Into the database from which it makes one of its own, whose name anybody knows, nobody is let in without.
            "PGOPTIONS": options_with(proxy.key, os.environ.get("PGOPTIONS", "")),
            TESTS_VARIABLE: str(tests),
        }
        stack.callback(drop_beside, place)
        recorded = Recorded(str(copy.url.database), through, written, environment, tests)
        yield recorded
        recorded.read_tests()


def run_command(command: Sequence[str], recorded: Recorded, folder: Path) -> int:
    """Run a suite to its end, its output where ours goes, and return its exit code; Ctrl-C is for both.

    Raises:
        UsageError: there is no such command.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  the user's own command is what was asked for
            list(command), cwd=folder, env={**os.environ, **recorded.environment}, stdout=2
        )
    except OSError as error:
        raise UsageError(
            f"--learn -- {command[0]}: it cannot be started: {error.strerror}",
            hint="Name the command that runs the tests: integrity race --learn -- pytest tests",
        ) from None
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise


def note_moment(tests: Path, phase: str, name: str) -> None:
    """Note that a test is at a phase from now on."""
    with tests.open("a", encoding="utf-8") as file:
        file.write(f"{time.time_ns()}\t{phase}\t{name}\n")
