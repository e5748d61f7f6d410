"""The embedded server: a real PostgreSQL on a folder of the project's, reached through a unix socket that only we can open.

A home folder holds everything: `data`, `socket` (or a link to a short folder elsewhere), `log`, and two lock files.
`command.lock` is held while a command starts or stops the server, so two commands at once start one. `server.lock` is
inherited by the server and all its children and so is held as long as one of them lives; that, not the pid in
postmaster.pid, says whether the data folder is free: a pid can be stale, reused by a stranger, a zombie, or of another
container. A server of another container that shares the folder holds it too.

Which programs to run is found in binaries.py, under whom in account.py, which process is the server in postmaster.py, where
its socket is in socket_folder.py; data_folder.py makes the data. What is stored in the server is not known here.
"""

# ruff: noqa: S603 S607 - what is run are PostgreSQL's programs and util-linux's, with arguments of our own making

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from integrity.engines.embedded.account import possible_accounts
from integrity.engines.embedded.binaries import choose_binaries, server_environment
from integrity.engines.embedded.data_folder import DATABASE, ROLE, STATISTICS, data_version, has_statistics, initialize
from integrity.engines.embedded.failures import explained, failure
from integrity.engines.embedded.lock_file import POLL_S, LockedError, hold
from integrity.engines.embedded.postmaster import (
    Postmaster,
    find_postmaster,
    holders_of,
    is_of_server,
    is_ready,
    pid_file_lines,
    was_shut_down,
)
from integrity.engines.embedded.socket_folder import PORT, SOCKET, SocketFolder
from integrity.engines.target import Target
from integrity.engines.url import Url
from integrity.errors import EmbeddedError
from integrity.typed import typed

SHARED_BUFFERS_MB_MAX = 2048
START_S_MAX = 300  # recovery after a crash replays up to max_wal_size
STOP_S_MAX = 60
UNREADY_STOP_S_MAX = 5
STRANGER_S_MAX = 5
ORPHAN_S_MAX = 2  # children of a crashed server end by themselves in milliseconds, unless they compute

SETTINGS: Mapping[str, str] = {
    "search_path": "public",  # not the role's first: it is called as our books are, and tables would be made among them
    "listen_addresses": "",
    "max_connections": "200",
    "jit": "off",  # audits are many short queries; compiling them costs more than it saves
    "synchronous_commit": "on",  # an acknowledged commit survives a crash: what a run claims rests on it
    "wal_level": "minimal",  # nothing replicates from here
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",  # errors of statements reach the client; a run makes thousands of them on purpose
}

_children: dict[int, "subprocess.Popen[bytes]"] = {}
"""Servers that this process started: kept so that they are reaped, whichever EmbeddedServer stops them."""


@atexit.register
def _leave_children() -> None:
    for process in _children.values():
        process.returncode = process.poll() or 0  # it goes on without us on purpose; else Popen warns of it


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known of an embedded server.

    Args:
        version: major version of PostgreSQL; None: no data yet.
        pid, started_at: None unless it is running.
    """

    is_running: bool
    home: Path
    log: Path
    version: int | None
    pid: int | None = None
    started_at: datetime | None = None
    url: str | None = None


class EmbeddedServer:
    """A PostgreSQL server on a folder; any number of these objects, in any process, stand for the same server.

    Args:
        home: its folder, made when the server is first started.
        settings: override SETTINGS; they count only when this object is the one that starts the server.
        dies_with_parent: the server shuts down when the thread that started it ends, however it ends (Linux, where
            `setpriv` is installed). Else it goes on until `stop`.
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None, dies_with_parent: bool = False) -> None:
        self.home = home.absolute()
        self.log = self.home / "log"
        self._data = self.home / "data"
        self._socket = SocketFolder(self.home / SOCKET)
        self._settings = {"shared_buffers": f"{_shared_buffers_mb()}MB", **SETTINGS, **(settings or {})}
        self._dies_with_parent = dies_with_parent

    @property
    def target(self) -> Target:
        """The database on this server; it can be connected to while the server runs."""
        query = {"host": self._socket.folder, "port": str(PORT)}
        return Target(Url("postgresql", username=ROLE, database=DATABASE, query=query))

    def serves(self, target: Target) -> bool:
        """Whether the database is one of this server's, whatever its name and user, running or not."""
        place, own = target.url, self.target.url
        folder = place.query.get("host", "")
        is_port = place.query.get("port", str(PORT)) == str(PORT)
        return place.drivername == own.drivername and is_port and bool(folder) and _is_same(folder, self._socket.folder)

    def start(self) -> Target:
        """Return the database on the server, which runs from here on: found running, or started, or made.

        Raises:
            EmbeddedError: it cannot; with the reason and, where the server gave one, the end of its log.
        """
        return self._start(is_revival=False)

    def revive(self) -> Target:
        """Return the database on the server, started again if it crashed or was killed.

        Raises:
            EmbeddedError: somebody stopped it in good order, and does not want it to come back; or it cannot.
        """
        return self._start(is_revival=True)

    def _start(self, *, is_revival: bool) -> Target:
        with explained(self.home, "start"):
            if not self._is_usable():
                self.home.mkdir(parents=True, exist_ok=True)
                with hold(self.home / "command.lock", START_S_MAX) as _, self._lock_of_server() as lock:
                    if lock is not None:
                        if is_revival and was_shut_down(self._data):
                            raise EmbeddedError(
                                f"{self.home}: the embedded server was stopped in good order while this worked on it",
                                hint=f"Start it when you like: {typed('db start')}.",
                            )
                        self._launch(lock)
            return self.target

    def status(self) -> ServerStatus:
        """Return whether the server runs and where; starts and changes nothing."""
        with explained(self.home, "be asked for its status"):
            running = self._postmaster()
            version = data_version(self._data)
            if running is None or not (running.is_ready and running.is_listening):
                return ServerStatus(is_running=False, home=self.home, log=self.log, version=version)
            return ServerStatus(
                is_running=True,
                home=self.home,
                log=self.log,
                version=version,
                pid=running.pid,
                started_at=running.started_at,
                url=str(self.target),
            )

    def stop(self) -> bool:
        """Return whether the server was running; it no longer is: transactions were rolled back, connections closed.

        Raises:
            EmbeddedError: it does not end, or is another user's.
        """
        if not self.home.exists():
            return False
        with explained(self.home, "stop"), hold(self.home / "command.lock", STOP_S_MAX):
            return self._end()

    def reset(self) -> None:
        """Stop the server and delete its data.

        Raises:
            EmbeddedError: it does not stop, or the data cannot be deleted.
        """
        if not self.home.exists():
            return
        with explained(self.home, "be reset"), hold(self.home / "command.lock", STOP_S_MAX):
            self._end()
            self._socket.unlink()
            doomed = self.home / "data.deleted"
            if self._data.exists():
                shutil.rmtree(doomed, ignore_errors=True)
                self._data.rename(doomed)  # at once: what is half deleted must not look like a server's data
            for folder in (doomed, self.home / "data.new"):
                if folder.exists():
                    shutil.rmtree(folder)

    def _launch(self, lock: int) -> None:
        """Start the server on a data folder that nobody uses; make the folder first where there is none.

        Args:
            lock: descriptor of the server's lock, for it to inherit.
        """
        made_by = data_version(self._data)
        accounts = possible_accounts(self.home, self._data)
        binaries, account, version = choose_binaries(os.environ, accounts, data_version=made_by)
        if made_by is None:
            is_throwaway = self._settings.get("fsync") == "off"
            initialize(
                self.home,
                self.log,
                binaries=binaries,
                account=account,
                version=version,
                lock=lock,
                is_throwaway=is_throwaway,
            )
        folder = self._socket.make(account)
        # Nobody uses the folder: we hold the server's lock. PostgreSQL refuses to start when a stale file's pid is in use.
        for stale in (self._data / "postmaster.pid", folder / f".s.PGSQL.{PORT}.lock"):
            stale.unlink(missing_ok=True)
        preloaded = {"shared_preload_libraries": STATISTICS} if has_statistics(binaries) else {}
        settings = [word for name, value in {**preloaded, **self._settings}.items() for word in ("-c", f"{name}={value}")]
        parent_death = ["setpriv", "--pdeathsig", "INT"] if self._dies_with_parent and _has_parent_death_signal() else []
        command = account.command(
            *parent_death, binaries.folder / "postgres", "-D", self._data, "-k", folder, "-p", str(PORT), *settings
        )
        if self.log.exists():
            self.log.replace(self.home / "log.old")
        with open(self.log, "wb", opener=_open_for_us_only) as log:
            process = subprocess.Popen(
                command,
                cwd="/",
                env=server_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for the command, not for the server
                pass_fds=(lock,),
                umask=0o077,
                **account.options,
            )
        _children[process.pid] = process
        try:
            self._wait_until_ready(process)
        except BaseException:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(UNREADY_STOP_S_MAX)
                except subprocess.TimeoutExpired:
                    # SIGINT is ignored until PostgreSQL sets its handlers where our caller had it ignored, as a shell does
                    # for what it runs in the background. Nothing was committed yet that a crash could lose.
                    process.kill()
                    process.wait()
            raise

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline:
            lines = pid_file_lines(self._data)
            if is_ready(lines) and lines[0] == str(process.pid):  # a file left by a crash says ready, of another pid
                return
            if process.poll() is not None:
                raise failure(self.home, self.log, "the server did not start", self.log.read_text(errors="replace"))
            time.sleep(POLL_S)
        raise failure(
            self.home, self.log, f"the server was not ready within {START_S_MAX} s", self.log.read_text(errors="replace")
        )

    def _end(self) -> bool:
        """Return whether the server was running, and end it; the command lock is held."""
        was_running = False
        began = time.monotonic()
        while not self._is_free():
            running = self._postmaster()
            if running is not None and not was_running and self._is_ours(running):
                _signal(running.pid, signal.SIGINT)  # fast shutdown
                was_running = True
            self._wait_for_others(running, began, STOP_S_MAX)
        for pid in [pid for pid, process in _children.items() if process.poll() is not None]:
            del _children[pid]
        return was_running

    @contextlib.contextmanager
    def _lock_of_server(self) -> Iterator[int | None]:
        """Hold the server's lock, or give None when the server is running after all.

        Waits for a server that is starting or stopping, and for the children of one that crashed.
        """
        began = time.monotonic()
        is_ended = False
        while not self._is_usable():
            if self._is_free():
                with hold(self.home / "server.lock", POLL_S) as lock:
                    yield lock
                return
            running = self._postmaster()
            is_lost = running is not None and running.is_ready and not self._socket.socket.exists()
            if running is not None and is_lost and not is_ended and self._is_ours(running):
                _signal(running.pid, signal.SIGINT)  # somebody deleted its socket: nobody can reach it any more
                is_ended = True
            self._wait_for_others(running, began, START_S_MAX)
        yield None

    def _wait_for_others(self, running: Postmaster | None, began: float, seconds_max: float) -> None:
        """Wait a moment for the processes that hold the server's lock; end them where no server is left to do so."""
        waited_s = time.monotonic() - began
        if running is None and waited_s > ORPHAN_S_MAX:
            holders = list(holders_of(self.home / "server.lock"))
            ours = [pid for pid in holders if is_of_server(pid, self._data, self.home / "data.new")]
            for pid in ours:
                _signal(pid, signal.SIGQUIT)  # PostgreSQL's own word for: leave at once, the server is gone
            if holders and not ours and waited_s > STRANGER_S_MAX:
                raise LockedError(self.home / "server.lock", holders)
        if waited_s > seconds_max:
            raise LockedError(self.home / "server.lock")
        time.sleep(POLL_S)

    def _is_ours(self, running: Postmaster) -> bool:
        """Return whether the process runs PostgreSQL on our data; elsewhere than on Linux that it listens must do."""
        return is_of_server(running.pid, self._data) or (running.is_listening and not Path("/proc/self/exe").exists())

    def _is_free(self) -> bool:
        """Return whether no server and no child of one is left."""
        try:
            with hold(self.home / "server.lock", 0):
                return True
        except LockedError:
            return False

    def _is_usable(self) -> bool:
        running = self._postmaster()
        return running is not None and running.is_ready and running.is_listening

    def _postmaster(self) -> Postmaster | None:
        return find_postmaster(self._data, self._socket.socket)


def _open_for_us_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
        os.kill(pid, number)


def _has_parent_death_signal() -> bool:
    """Return whether `setpriv --pdeathsig` works; BusyBox and macOS lack it."""
    try:
        return subprocess.run(["setpriv", "--pdeathsig", "INT", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _shared_buffers_mb() -> int:
    """Return a quarter of the memory that we may use, at most 2 GB and at least 16 MB."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        limit = "max"
    if limit.isdigit():
        memory = min(memory, int(limit))
    return max(16, min(SHARED_BUFFERS_MB_MAX, memory // 4 // 2**20))


def _is_same(folder: str, other: str) -> bool:
    return Path(folder).resolve() == Path(other).resolve()
