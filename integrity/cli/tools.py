"""What a program that speaks the Model Context Protocol can ask of a project: a command each, its result as JSON.

A tool is a command in a process of its own, so that what it prints is no line of the protocol and nothing ends with it that
goes wrong. Its annotations and its docstring are what the program is told of it. Without leave to write there are only
those that read: an audit and a query write nothing, and whatever else a database holds is nobody's to change from there.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from integrity.exit_codes import ExitCode
from integrity.project import DATABASE_VARIABLE

SECONDS_MOST = 900
RACE_S = 60


class ToolRefused(Exception):
    """The command could not be carried out; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Tools of one project.

    Args:
        folder: of the project.
        database: its URL; None: as the project or the environment has it.
        refusal: what is raised with what a command said that could not be carried out.
    """

    folder: Path
    database: str | None = None
    refusal: type[Exception] = ToolRefused

    def reading(self) -> list[Callable[..., Any]]:
        """Return those that write nothing."""
        return [self.about, self.list_invariants, self.explain_invariant, self.validate, self.ask_query]

    def writing(self) -> list[Callable[..., Any]]:
        """Return those that make scratch databases, or files of the project."""
        return [self.race, self.replay, self.new_invariant]

    def about(self) -> dict[str, Any]:
        """What this project is: its database, its own invariants, operations and queries, what was done last, and what can
        be done next. Begin here."""
        return self._ask("--json")

    def list_invariants(self, system: str = "") -> dict[str, Any]:
        """The invariants: names, titles, severities and files. The project's own, where it has some, else those that ship;
        or those of one `system`."""
        return self._ask("list", *_option("--system", system), "--json")

    def explain_invariant(self, name: str) -> dict[str, Any]:
        """One invariant: why it matters, what to look for, and its query."""
        return self._ask("explain", "--json", "--", name)

    def validate(self, select: list[str] | None = None, rows: int = 10) -> dict[str, Any]:
        """Judge invariants on one snapshot of the database, which is only read: verdicts, and of each that is violated the
        first `rows` rows. `select` takes names or patterns; without it all are judged."""
        chosen = [word for pattern in select or () for word in _option("--select", pattern)]
        return self._ask("validate", "--read-only", f"--limit-evidence={rows:d}", *chosen, "--json")

    def ask_query(self, name: str, values: dict[str, str] | None = None, rows: int = 50) -> dict[str, Any]:
        """The rows of a named query of the project; `values` are those of its parameters."""
        given = [word for key, value in (values or {}).items() for word in _option("--set", f"{key}={value}")]
        return self._ask("queries", "ask", f"--limit={rows:d}", *given, "--json", "--", name)

    def race(self, operations: list[str], isolation: str = "", seconds: int = RACE_S) -> dict[str, Any]:
        """Search the orders in which calls of operations can meet for one that breaks an invariant, or that no serial order
        explains: `["withdraw", "withdraw"]`. Played in a scratch database on the same server, which is dropped at the end.
        A finding has the schedule, the explanation, and what would have prevented it."""
        words = [*_option("--isolation", isolation), f"--budget={seconds:d}s", "--json", "--"]
        return self._ask("race", *words, *operations)

    def replay(self, finding: str, times: int = 1) -> dict[str, Any]:
        """Play a race that was found again, as often as `times`: does it still come back?"""
        return self._ask("replay", f"--times={times:d}", "--json", "--", finding)

    def new_invariant(
        self, template: str, table: str = "", words: dict[str, str] | None = None, name: str = ""
    ) -> dict[str, Any]:
        """Write an invariant of a template into the project, and ask it: `no-negative-balance` of the table `accounts`. An
        unknown template is answered with all there are; `words` say what cannot be told from the database."""
        given = [word for key, value in (words or {}).items() for word in _option("--set", f"{key}={value}")]
        said = [*_option("--from", template), *_option("--table", table), *given, "--json"]
        return self._ask("new", "invariant", *said, *(["--", name] if name else []))

    def _ask(self, *words: str) -> dict[str, Any]:
        """Return what a command prints, with its exit code and what it said beside it.

        Raises:
            Exception: as `refusal` says: it could not be carried out.
        """
        try:
            ended = subprocess.run(  # noqa: S603 - our own program, and no shell
                [sys.executable, "-m", "integrity", *words],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=SECONDS_MOST,
            )
        except subprocess.TimeoutExpired:
            raise self.refusal(f"it took more than {SECONDS_MOST} s, and was ended") from None
        said = ended.stderr.decode(errors="replace").strip()
        if ended.returncode not in ANSWERED or not ended.stdout.strip():
            raise self.refusal(said or f"it ended with exit code {ended.returncode}")
        return {"exit_code": ended.returncode, "result": orjson.loads(ended.stdout), "notes": said}

    def _environment(self) -> Mapping[str, str]:
        return os.environ if self.database is None else {**os.environ, DATABASE_VARIABLE: self.database}


ANSWERED = {ExitCode.OK, ExitCode.VIOLATED, ExitCode.UNKNOWN, ExitCode.THRESHOLD}


def _option(name: str, value: str) -> list[str]:
    """Return an option in one word, which no value can be taken for another option of; nothing of an empty one."""
    return [f"{name}={value}"] if value else []
