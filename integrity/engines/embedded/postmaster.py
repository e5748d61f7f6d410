"""Recognizing a server's process: a pid from a file is only believed when the kernel confirms it.

The pid in postmaster.pid may be stale, reused by a stranger, a zombie, or of another container. It is the server's when
the kernel names it as the process that listens on the server's socket, or that works in the server's data folder. Only what
runs PostgreSQL's program, and works in that folder, is ever signalled: that somebody has a file of ours open says nothing.
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

ANSWER_S_MAX = 5
SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # the shortest question of the protocol; it leaves no line in the log


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A living server process.

    Args:
        is_ready: it has said that it takes connections.
        is_listening: its socket is where it should be.
    """

    pid: int
    started_at: datetime
    is_ready: bool
    is_listening: bool


def find_postmaster(data: Path, socket_path: Path) -> Postmaster | None:
    """Return the living server of the data folder; None when there is none."""
    lines = pid_file_lines(data)
    if len(lines) < 3 or not lines[0].isdigit():
        return None
    pid = int(lines[0])
    is_listening = _listener_pid(socket_path) == pid
    if not is_listening and not _works_in(pid, data):
        return None
    started_at = datetime.fromtimestamp(int(lines[2]), UTC)
    return Postmaster(pid, started_at, is_ready=is_ready(lines), is_listening=is_listening)


def pid_file_lines(data: Path) -> list[str]:
    """Return the lines of postmaster.pid: 1 pid, 3 start, 8 status; none without the file, few while it is written."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_ready(lines: list[str]) -> bool:
    """Return whether the lines of postmaster.pid say that the server takes connections."""
    return len(lines) > 7 and lines[7].strip() == "ready"


def holders_of(file: Path) -> Iterator[int]:
    """Yield the other processes that have the file open; none on a system without /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        try:
            if pid != os.getpid() and any(descriptor.samefile(file) for descriptor in (entry / "fd").iterdir()):
                yield pid
        except OSError:  # gone meanwhile, or another user's
            continue


def name_of(pid: int) -> str:
    """Return the name of a process, for people."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"


def is_of_server(pid: int, *folders: Path) -> bool:
    """Return whether a process is PostgreSQL's and works in one of the data folders, or was told to make it.

    On a system without /proc it is never known; there `find_postmaster` has asked the socket.
    """
    try:
        program = Path(f"/proc/{pid}/exe").readlink().name.removesuffix(" (deleted)")
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # gone, or another user's
        return False
    told = [Path(os.fsdecode(folder)) for option, folder in pairwise(words) if option == b"-D"]
    return program in _PROGRAMS and any(_works_in(pid, folder) or folder in told for folder in folders)


def was_shut_down(data: Path) -> bool:
    """Return whether the data's last server was shut down in good order, as its control file tells."""
    try:
        control = (data / "global" / "pg_control").read_bytes()
    except OSError:
        return False
    # ControlFileData: system_identifier (8 bytes), two versions (4 each), then the state of the cluster.
    return len(control) >= _STATE.size and _STATE.unpack_from(control)[0] == _SHUT_DOWN


_PROGRAMS = ("postgres", "initdb")
_STATE = struct.Struct("=16xi")
_SHUT_DOWN = 1


def _listener_pid(path: Path) -> int | None:
    """Return the pid of the server that listens on a unix socket and answers there; None when there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        # Not settimeout: with it, a server whose queue is full for a moment would look like none.
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            client.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", ANSWER_S_MAX, 0))
        try:
            client.connect(str(path))
            # The kernel connects to a process that is being killed, too: only an answer shows that it lives.
            client.sendall(SSL_REQUEST)
            is_alive = client.recv(1) in (b"N", b"S")
        except OSError:  # no such file, nobody listens, too long a path, no answer: there is no server to use
            return None
        if not is_alive:
            return None
        if sys.platform == "darwin":
            return client.getsockopt(0, 2)  # SOL_LOCAL, LOCAL_PEERPID
        pid: int = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        return pid


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").samefile(folder)
    except OSError:  # gone, a zombie, not ours to look at, or a system without /proc
        return False
