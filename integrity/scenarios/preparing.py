"""Making the rows of a schedule: SQL, a function, a command, requests; and the login, whose sessions are rows, too."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from integrity.engines.refusals import reason_of
from integrity.engines.target import Target
from integrity.errors import UsageError, quote
from integrity.http.client import Client, Kept
from integrity.http.login import log_in, send_all
from integrity.http.request import Request
from integrity.scenarios.app import database_environment
from integrity.scenarios.scenario import Setup
from integrity.user_code import as_user_error, claim

SHELL_S_MOST = 60.0
_LINES_TOLD = 5


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the actors of one schedule begin with.

    Args:
        values: for {name} in their requests.
        kept: of the login.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    kept: Kept = field(default_factory=Kept)


@dataclass(frozen=True, slots=True)
class Preparation:
    """How the rows are made.

    Args:
        setup: [setup] of a scenario.
        requests: of it, and those of the login, as they are sent.
        bearer: of the login.
        values: [values].
        target: the database that SQL, the function and the command work on; None: there is none to work on.
        client: sends the requests; None: there are none.
        folder: of the project.
        place: of the scenario, for messages.
    """

    setup: Setup
    requests: Sequence[Request] = ()
    login: Sequence[Request] = ()
    bearer: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    target: Target | None = None
    client: Client | None = None
    folder: Path = field(default_factory=Path)
    place: str = "setup"

    def make(self) -> Prepared:
        """Make the rows, and return what the actors begin with.

        Raises:
            UsageError: SQL, the command, a request or the login is refused.
            UserCodeError: the function raised an exception.
        """
        values = dict(self.values)
        if self.setup.sql is not None:
            self._run_sql(self.setup.sql)
        if self.setup.python is not None:
            values |= self._call(self.setup.python)
        if self.setup.shell is not None:
            self._run_shell(self.setup.shell)
        kept = Kept()
        if self.client is not None and (self.login or self.requests):
            if self.login:
                kept = log_in(self.client.session(), self.login, values, bearer=self.bearer)
            _, values = send_all(self.client.session(kept), self.requests, values, place=f"{self.place}: setup.requests")
        return Prepared(values, kept)

    def _known_target(self, key: str) -> Target:
        if self.target is None:
            raise UsageError(f"{self.place}: setup.{key}: there is no database to work on", hint="Give [database] url.")
        return self.target

    def _run_sql(self, said: str) -> None:
        place = f"{self.place}: setup.sql"
        text = said
        if said.strip().endswith(".sql") and "\n" not in said.strip():
            file = self.folder / said.strip()
            place = str(file)
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is no UTF-8"
                raise UsageError(
                    f"{file}: cannot be read: {reason}", hint="setup.sql names a file of the project."
                ) from None
        with closing(self._known_target("sql").connect(application_name="integrity setup")) as connection:
            try:
                connection.execute(text.encode())
            except Exception as error:
                if getattr(error, "sqlstate", None) is None:  # the server has not said it
                    raise
                raise UsageError(f"{place}: the database refuses it: {reason_of(error)}", hint="Try it in psql.") from None

    def _call(self, reference: str) -> dict[str, Any]:
        place = f"{self.place}: setup.python"
        function = find_function(reference, folder=self.folder, place=place)
        try:
            with redirect_stdout(sys.stderr):
                made = function(self._known_target("python").text)
        except Exception as error:
            raise as_user_error(error) or error from None
        if made is not None and not isinstance(made, Mapping):
            raise UsageError(
                f"{place}: {reference} returned {quote(type(made).__name__)}, no values by name",
                hint="Return a dict, or None.",
            )
        return dict(made or {})

    def _run_shell(self, command: str) -> None:
        variables = database_environment(self._known_target("shell").text)
        place = f"{self.place}: setup.shell"
        try:
            ended = subprocess.run(  # noqa: S603  the user's own command is what was asked for
                ["/bin/sh", "-c", command],
                cwd=self.folder,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=SHELL_S_MOST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UsageError(
                f"{place}: not over after {SHELL_S_MOST:g} s", hint="It is run before each schedule."
            ) from None
        if ended.returncode:
            text = ended.stdout.decode("utf-8", "replace")
            for name in ("DATABASE_URL", "PGPASSWORD"):
                text = text.replace(variables.get(name) or "\0", "***")
            lines = "".join(f"\n  | {line[:200]}" for line in text.splitlines()[-_LINES_TOLD:])
            raise UsageError(
                f"{place}: ended with {ended.returncode}{lines}", hint="Try it by hand, with DATABASE_URL set."
            )


def find_function(reference: str, *, folder: Path, place: str) -> Callable[[str], Any]:
    """Return the function of the user's that "module:function" names.

    Raises:
        UsageError: there is none.
        UserCodeError: its module raised an exception.
    """
    module_name, _, attribute = reference.partition(":")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))  # it stays: modules import others as they are used
    claim(module_name, str(folder))
    try:
        with redirect_stdout(sys.stderr):
            function: Callable[[str], Any] = attrgetter(attribute)(import_module(module_name))
    except Exception as error:
        if (theirs := as_user_error(error)) is not None:
            raise theirs from None
        if not isinstance(error, ImportError | AttributeError):
            raise
        raise UsageError(f"{place}: {quote(reference)}: {error}", hint='Write "module:function".') from None
    return function
