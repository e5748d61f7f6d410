"""An application: started by its command in a process group of its own, waited for, and ended by its id.

It gets a free port as $PORT, and the database as DATABASE_URL and as libpq's variables. What it prints goes to a file,
whose last lines are told when it dies or does not get ready.
"""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

from integrity.engines.target import Target
from integrity.engines.url import Secret
from integrity.errors import UsageError, quote, quote_url
from integrity.http.request import shown_url
from integrity.scenarios.scenario import App

LINES_TOLD = 12
POLL_S = 0.05
GRACE_S = 5.0
"""From the request to end until it is killed."""


@dataclass(frozen=True, slots=True)
class Running:
    """An application that is ready.

    Args:
        url: its address.
        log: what it prints.
        process_id: of its process, and its group; None: it was running already.
        secrets: that it was given, and must not be told.
    """

    url: str
    log: Path | None = None
    process_id: int | None = None
    secrets: tuple[str, ...] = ()

    def how_ended(self, *, wait_s: float = 0.0) -> str:
        """Return how it has ended since, in words; empty: it has not.

        Args:
            wait_s: so long it may take until that is known.
        """
        is_there = not (self.url and wait_s) or _listens(_host(self.url), _port_of(App(url=self.url)))
        if self.process_id is None:
            return "" if is_there else f"answers no more at {self.url}"
        until = monotonic() + (0.0 if is_there else wait_s)
        while not (how := _end_of(self.process_id)) and monotonic() < until:
            sleep(POLL_S)
        return how

    def died(self, how: str, schedule: Sequence[str] = ()) -> UsageError:
        """Return the error that it has ended, with the end of what it printed, and the schedule that it was asked in."""
        printed = "" if self.log is None else _last_lines(self.log, self.secrets)
        hint = "See what it says of it, and start it again." if self.log is None else _look_at(self.log)
        return UsageError("\n".join([f"the application {how}{printed}", *schedule]), hint=hint)


def database_environment(url: str) -> dict[str, str]:
    """Return the variables of the environment by which applications find a database. They hold its password."""
    variables = {"DATABASE_URL": url}
    target = Target.parse(url)
    if not target.engine.speaks_postgresql:
        return variables
    parts = {
        "PGHOST": target.url.host or target.url.query.get("host"),
        "PGPORT": target.url.port or target.url.query.get("port"),
        "PGUSER": target.url.username,
        "PGPASSWORD": target.url.password.reveal() if isinstance(target.url.password, Secret) else None,
        "PGDATABASE": target.url.database,
        "PGSSLMODE": target.url.query.get("sslmode"),
    }
    return variables | {name: str(value) for name, value in parts.items() if value}


@contextmanager
def running(
    app: App,
    *,
    folder: Path,
    log: Path,
    database_url: str | None = None,
    on_wait: Callable[[float], None] = lambda _: None,
) -> Iterator[Running]:
    """Yield the application, ready; one that we started is ended behind it, with all that it started.

    Args:
        folder: that its command is given in.
        log: the file for what it prints.
        database_url: that it is to work on; None: as its own environment says.
        on_wait: is told now and then how many seconds it has been waited for.

    Raises:
        UsageError: it dies, or is not ready in time; the message has the end of its log.
    """
    port = _port_of(app)
    url = re.sub(r"\$\{PORT\}|\$PORT\b|(?<=:)PORT\b", str(port), app.url).rstrip("/") or f"http://127.0.0.1:{port}"
    if not app.command:
        if not app.url:
            raise UsageError(
                "[app] has neither a command nor a url", hint='Write url = "http://127.0.0.1:8000", or a command.'
            )
        _wait(_Begun(app, url, port, log), on_wait)
        yield Running(url)
        return
    if _listens(_host(url), port):
        raise UsageError(
            f"[app] port {port} of {_host(url)} is taken: something else would be raced",
            hint="End what listens there, or write ${PORT} in url.",
        )
    variables = database_environment(database_url) if database_url is not None else {}
    environment = {**os.environ, **variables, **app.env, "PORT": str(port)}
    secrets = tuple(variables[name] for name in ("DATABASE_URL", "PGPASSWORD") if variables.get(name))
    process = _start(app.command, folder, log, environment)
    try:
        _wait(_Begun(app, url, port, log, process, secrets), on_wait)
        yield Running(url, log, process.pid, secrets)
    finally:
        _end(process)


def _start(command: str, folder: Path, log: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            return subprocess.Popen(  # noqa: S603  the user's own command is what was asked for
                ["/bin/sh", "-c", command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise UsageError(
            f"[app] the command cannot be started: {error.strerror}: {error.filename}", hint="Mend [app] command."
        ) from None


@dataclass(frozen=True, slots=True)
class _Begun:
    """An application that may not be ready yet; `process` is None where it was running already."""

    app: App
    url: str
    port: int
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    secrets: tuple[str, ...] = ()


def _wait(begun: _Begun, on_wait: Callable[[float], None]) -> None:
    begun_at = monotonic()
    while not _is_ready(begun.app, begun.url, begun.port):
        if begun.process is not None and (how := _end_of(begun.process.pid)):
            raise UsageError(
                f"[app] {quote(begun.app.command)} {how} before it was ready{_last_lines(begun.log, begun.secrets)}",
                hint=_look_at(begun.log),
            )
        waited = monotonic() - begun_at
        if waited > begun.app.ready_s:
            raise _not_ready(begun)
        on_wait(waited)
        sleep(POLL_S)


def _not_ready(begun: _Begun) -> UsageError:
    ready = begun.app.ready
    awaited = f"somebody to listen at port {ready or begun.port}" if _is_port(ready) else f"an answer to {ready}"
    said = f"[app] {begun.url} is not ready after {begun.app.ready_s:g} s: waited for {awaited}"
    if begun.process is None:
        return UsageError(said, hint="Start the application, or give [app] command.")
    return UsageError(
        f"{said}{_last_lines(begun.log, begun.secrets)}",
        hint="It must listen at $PORT; say `ready` (a path or a port) or `ready_s` where that is not enough.",
    )


def _is_port(ready: str | int | None) -> bool:
    return ready is None or isinstance(ready, int) or ready.isdecimal()


def _is_ready(app: App, url: str, port: int) -> bool:
    if _is_port(app.ready):
        return _listens(_host(url), int(app.ready or port))
    split = urlsplit(url)
    make = http.client.HTTPSConnection if split.scheme == "https" else http.client.HTTPConnection
    connection = make(_host(url), port, timeout=2)
    try:
        connection.request("GET", str(app.ready))
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def check_address(app: App, *, place: str) -> None:
    """Raise UsageError unless the url of an application is an address of HTTP."""
    parts = urlsplit(app.url)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"{place}: {quote_url(shown_url(app.url))} is no address of HTTP",
            hint='Write "http://127.0.0.1:8000", or ${PORT} for its port where a command starts it.',
        )
    try:
        _port_of(app)
    except UsageError as error:
        raise UsageError(f"{place}: {error.message.removeprefix('[app] url: ')}", hint=error.hint) from None


def _port_of(app: App) -> int:
    """Return the port of the address, or a free one."""
    split = urlsplit(re.sub(r":(?:\$\{PORT\}|\$PORT\b|PORT\b)", "", app.url))
    is_open = split.geturl() != app.url
    try:
        if app.url and not is_open:
            return split.port or (443 if split.scheme == "https" else 80)
    except ValueError:
        raise UsageError(
            f"[app] url: {quote(split.netloc.rpartition('@')[2])} has no port", hint="Write ${PORT}."
        ) from None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _host(url: str) -> str:
    return urlsplit(url).hostname or "127.0.0.1"


def _end_of(process_id: int) -> str:
    """Return how a child has ended, in words; empty: it has not. Its number stays its own: it is waited for later, so that
    nobody else's group can have it meanwhile."""
    try:
        ended = os.waitid(os.P_PID, process_id, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return "ended"
    if ended is None:
        return ""
    is_own_end = ended.si_code == os.CLD_EXITED
    return f"ended with {ended.si_status}" if is_own_end else f"was ended by {signal.Signals(ended.si_status).name}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its group: asked first, killed when its time is up."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    deadline = monotonic() + GRACE_S
    while not _end_of(process.pid) and monotonic() < deadline:
        sleep(POLL_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # also who outlived its leader
    process.wait()


def _last_lines(log: Path, secrets: tuple[str, ...]) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16 * 1024))
            lines = file.read().decode("utf-8", "replace").splitlines()[-LINES_TOLD:]
    except OSError:
        return ""
    if not lines:
        return "; it printed nothing"
    text = "\n".join(f"  | {line[:200]}" for line in lines)
    for secret in secrets:
        text = text.replace(secret, "***")
    return f"; the end of what it printed:\n{text}"


def _look_at(log: Path) -> str:
    return f"All that it printed is in {log}."
