"""A Redis for tests: Debian's redis-server, which nobody else uses."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from integrity.monitor.redis import read_info
from tests.waiting import wait_until

PROGRAM = shutil.which("redis-server")


@contextmanager
def redis_server(*words: str) -> Iterator[str]:
    """Start one that keeps nothing on disk, and give its URL."""
    if PROGRAM is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    pytest.importorskip("redis")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"redis://127.0.0.1:{port}/0"
    with tempfile.TemporaryDirectory() as folder:
        said = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, *words]
        process = subprocess.Popen([PROGRAM, *said], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: _answers(url))
            yield url
        finally:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return bool(read_info(url))
    except OSError:
        return False
