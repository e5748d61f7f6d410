"""PgBouncer before the tests' server, where it is installed."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from integrity.engines.embedded.account import possible_accounts
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from tests.waiting import wait_until

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
SETTINGS = """
[databases]
* = host={socket} port=5432 user=integrity
[pgbouncer]
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = {size}
admin_users = integrity
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextmanager
def pooling(server: EmbeddedServer, *, size: int) -> Iterator[Target]:
    """Give the server through PgBouncer in transaction mode, with so many sessions of the server for each database."""
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    socket = server.target.url.query["host"]
    account = possible_accounts(server.home, server.home / "data")[0]  # it refuses to run as root, as the server does
    with tempfile.TemporaryDirectory(prefix="pooler") as folder:  # a short path, as a socket's must be
        ini = Path(folder) / "ini"
        ini.write_text(SETTINGS.format(socket=socket, folder=folder, size=size))
        account.own(Path(folder))
        process = subprocess.Popen(account.command(PROGRAM, "-q", ini), **account.options)
        try:
            target = Target(server.target.url.set(query={"host": folder, "port": "6432"}))
            wait_until(lambda: _answers(target), or_says=(Path(folder) / "log").read_text)
            yield target
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()


def _answers(target: Target) -> bool:
    try:
        psycopg.connect(target.text).close()
    except psycopg.OperationalError:
        return False
    return True
