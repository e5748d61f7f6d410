"""Servers as they are found elsewhere: what the server and the role prefer, what the role may, what version it is.

Of each kind there is one server, or a role of the suite's own, and databases on it: empty ones, and copies
of one that was seeded, venues. A standby's are made on its primary.
"""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from integrity.database.namespace import guard
from integrity.engines.embedded.account import possible_accounts
from integrity.engines.embedded.binaries import SYSTEM_ROOT, VARIABLE, choose_binaries, server_environment
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system

KINDS = ("jit", "dates", "owner", "reader", "standby", "debian 15")
READERS = ("reader", "standby")
"""Those that write nothing."""

WALLETS = 40

THROWAWAY = {"fsync": "off", "shared_buffers": "32MB"}
COMPILES_ALL = {"jit": "on", "jit_above_cost": "0", "jit_inline_above_cost": "0", "jit_optimize_above_cost": "0"}
REPLICATES = {"wal_level": "replica", "max_wal_senders": "4"}
ODD_OF_ROLE = {"datestyle": "German, DMY", "intervalstyle": "sql_standard"}
ODD_OF_DATABASE = {"timezone": "<+0543>-05:43", "datestyle": "SQL, MDY", "lc_numeric": "C"}

DEBIAN_15 = SYSTEM_ROOT / "15" / "bin"

MakeFolder = Callable[[str], Path]


@dataclass(frozen=True)
class Place:
    """A database on a server of some kind.

    Args:
        target: as this kind's role reaches it.
        primary: as a superuser reaches it where it can be written.
    """

    kind: str
    target: Target
    primary: Target

    def execute(self, statement: str) -> None:
        """Change the database, whoever may not."""
        with closing(self.primary.connect()) as connection:
            connection.execute(statement.encode())
            if self.kind == "standby":
                catch_up(connection, self.target)

    @contextmanager
    def making_databases(self) -> Iterator[bool]:
        """Let the role make databases for as long as the block; give whether it then may, and the server lets it."""
        if self.kind == "owner":
            self.execute(f"alter role {self.target.url.username} createdb")
        try:
            yield self.kind not in READERS
        finally:
            if self.kind == "owner":
                self.execute(f"alter role {self.target.url.username} nocreatedb")


@dataclass
class Servers:
    """Servers of the kinds that were asked for, until the end."""

    own: EmbeddedServer
    make_folder: MakeFolder
    stack: ExitStack
    _found: dict[str, tuple[Target, Target]] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @contextmanager
    def place(self, kind: str, *, is_empty: bool = False) -> Iterator[Place]:
        """Make a database on the server of this kind, for as long as the block."""
        if kind not in self._found:
            self._found[kind] = self._open(kind)
        primary, target = self._found[kind]
        name = f"{_template(kind)}_{next(self._numbers)}"
        template = "template0" if is_empty else _template(kind)
        with closing(primary.connect()) as admin:
            _create_database(admin, name, template, _owner(kind))
            if kind == "dates":
                _prefer(admin, "database", name, ODD_OF_DATABASE)
            if kind == "standby":
                catch_up(admin, target)
            try:
                yield Place(kind, Target(target.url.set(database=name)), Target(primary.url.set(database=name)))
            finally:
                admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    def _open(self, kind: str) -> tuple[Target, Target]:
        """Return how a superuser, and this kind's role, reach the server; there is a venue to copy."""
        if kind == "standby":
            primary, target = self.stack.enter_context(primary_and_standby(self.make_folder, REPLICATES))
        elif kind == "jit":
            primary = target = self._start(kind, COMPILES_ALL, _folder_that_compiles())
        elif kind == "debian 15":
            if not (DEBIAN_15 / "postgres").exists():
                pytest.skip(f"there is no PostgreSQL 15 of Debian's here, in {DEBIAN_15}")
            primary = target = self._start(kind, {}, DEBIAN_15)
        else:
            primary = self.own.target
            target = Target(primary.url.set(username=_make_role(primary, kind)))
        template = _template(kind)
        with closing(primary.connect()) as admin:
            _create_database(admin, template, "template0", _owner(kind))
        seeder = Target((target if _owner(kind) else primary).url.set(database=template))
        sizes = {"wallets": WALLETS}
        seed_system(seeder, guard(seeder, None), GHOSTPASS, sizes=sizes, seed=1, mode=Mode.NEW)
        return primary, target

    def _start(self, kind: str, settings: Mapping[str, str], folder: Path | None) -> Target:
        server = EmbeddedServer(
            self.make_folder(kind.replace(" ", "_")), settings={**THROWAWAY, **settings}, dies_with_parent=True
        )
        self.stack.callback(server.reset)
        with pytest.MonkeyPatch.context() as patch:
            if folder is not None:
                patch.setenv(VARIABLE, str(folder))
            return server.start()


@contextmanager
def primary_and_standby(make_folder: MakeFolder, settings: Mapping[str, str]) -> Iterator[tuple[Target, Target]]:
    """Start two servers; what is committed on the first is replayed on the second, at once and against its queries."""
    settings = {**THROWAWAY, **REPLICATES, **settings}
    primary = EmbeddedServer(make_folder("primary"), settings=settings, dies_with_parent=True)
    home = make_folder("standby")
    standby = EmbeddedServer(home, settings={**settings, "max_standby_streaming_delay": "0"}, dies_with_parent=True)
    try:
        target = primary.start()
        _copy(target, primary, home)
        yield target, standby.start()
    finally:
        standby.reset()
        primary.reset()


def catch_up(primary: "psycopg.Connection[Any]", standby: Target) -> None:
    """Return when the standby has replayed what the primary has written."""
    primary.execute("create table flushed (); drop table flushed")  # a vacuum's last record may wait in memory
    written = primary.execute("select pg_current_wal_insert_lsn()").fetchone()
    with closing(Target(standby.url.set(database="postgres")).connect()) as reader:
        while reader.execute("select pg_last_wal_replay_lsn() >= %s", written).fetchone() != (True,):
            pass


def _copy(target: Target, primary: EmbeddedServer, home: Path) -> None:
    """Copy the running primary into the data folder of the standby, as the account that the servers run under."""
    home.mkdir(exist_ok=True)
    binaries, account, _ = choose_binaries(os.environ, possible_accounts(home, primary.home / "data"))
    account.own(home)
    program = binaries.folder / "pg_basebackup"
    options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", target.text]
    command = account.command(program, "--pgdata", home / "data", *options)
    subprocess.run(command, check=True, capture_output=True, cwd="/", env=server_environment(), **account.options)


def _folder_that_compiles() -> Path | None:
    """Return programs with a compiler, which the wheel comes without; where there are none it is at least asked for."""
    found = sorted(SYSTEM_ROOT.glob("*/lib/llvmjit.so"))
    return found[-1].parent.parent / "bin" if found else None


def _template(kind: str) -> str:
    return f"of_{kind.replace(' ', '_')}_{os.getpid()}"


def _owner(kind: str) -> str | None:
    """Return the role that owns the databases, where it is not the superuser who makes them."""
    return _role(kind) if kind in ("owner", "dates") else None


def _role(kind: str) -> str:
    return f"role_of_{kind}"


def _make_role(primary: Target, kind: str) -> str:
    """Make the role, which stays as long as the server, with what it may and prefers."""
    role = _role(kind)
    with closing(primary.connect()) as admin:
        may = sql.SQL("superuser" if kind == "dates" else "nosuperuser")
        admin.execute(sql.SQL("create role {} login {}").format(sql.Identifier(role), may))
        if kind == "dates":
            _prefer(admin, "role", role, ODD_OF_ROLE)
        if kind == "reader":
            admin.execute(sql.SQL("grant pg_read_all_data to {}").format(sql.Identifier(role)))
    return role


def _prefer(admin: "psycopg.Connection[Any]", what: str, name: str, settings: Mapping[str, str]) -> None:
    for setting, value in settings.items():
        words = (sql.SQL(what), sql.Identifier(name), sql.Identifier(setting), sql.Literal(value))
        admin.execute(sql.SQL("alter {} {} set {} = {}").format(*words))


def _create_database(admin: "psycopg.Connection[Any]", name: str, template: str, owner: str | None) -> None:
    words = [sql.Identifier(word) for word in (name, template, owner or "current_user")]
    text = "create database {} template {} owner {}" if owner else "create database {} template {}"
    admin.execute(sql.SQL(text).format(*words[: text.count("{}")]))
