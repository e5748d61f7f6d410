"""The account that the embedded server runs under: PostgreSQL refuses to run as root, and as a uid without a name.

Two ways out, in this order. Root runs it as `postgres` or `nobody`, where that user can enter the folder. Else it runs in a
user namespace, where our uid appears as another: to the kernel it is still us, so nothing is chowned or copied and a
folder under /root works; but a container may forbid it.
"""

# ruff: noqa: S603 S607 - what is run are PostgreSQL's programs and util-linux's, with arguments of our own making

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integrity.errors import EmbeddedError

NAMES = ("postgres", "nobody")
NAMESPACE_COMMAND = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
NAMESPACE_HINT = "Run as an ordinary user, in a folder that `nobody` can enter, or with --database URL."


@dataclass(frozen=True, slots=True)
class Account:
    """Whom PostgreSQL's programs run as.

    Args:
        name: for messages.
        uid, gid: to change to; None: stay as we are.
        is_namespaced: run in a user namespace.
    """

    name: str
    uid: int | None = None
    gid: int | None = None
    is_namespaced: bool = False

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the command line that runs the program under this account; its pid is the program's own."""
        prefix = NAMESPACE_COMMAND if self.is_namespaced else ()
        return [*prefix, *map(str, arguments)]

    @property
    def options(self) -> dict[str, Any]:
        """What `subprocess` must be given."""
        return {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give a file or folder that we made to this account."""
        if self.uid is not None:
            os.chown(path, self.uid, -1 if self.gid is None else self.gid)


def possible_accounts(home: Path, data: Path) -> list[Account]:
    """Return the accounts that the server could run under, best first; an existing data folder's owner is the only one.

    Args:
        home: exists; the account must be able to enter it.
        data: the data folder, which need not exist yet.

    Raises:
        EmbeddedError: none.
    """
    ours = os.geteuid()
    owner = data.stat().st_uid if data.exists() else None
    if ours != 0:
        if owner not in (None, ours):
            raise EmbeddedError(
                f"{data}: belongs to {_name_of(owner)}, you are {_name_of(ours)}",
                hint="Work as that user, or in a folder of your own (--project FOLDER).",
            )
        return [Account(_name_of(ours))] if _has_name(ours) else _namespaced()
    if owner is not None:
        return _namespaced() if owner == 0 else [Account(_name_of(owner), owner, _group_of(owner))]
    found = [Account(name, entry.pw_uid, entry.pw_gid) for name in NAMES if (entry := _entry_of(name))]
    found = [account for account in found if _can_enter(account, home)]
    return found + _namespaced(is_needed=not found)


def _namespaced(*, is_needed: bool = True) -> list[Account]:
    try:
        ran = subprocess.run([*NAMESPACE_COMMAND, "true"], capture_output=True, text=True, check=False)
        reason = "" if ran.returncode == 0 else ran.stderr.strip()
    except OSError as error:
        reason = f"unshare: {error.strerror}"
    if not reason:
        return [Account("a user namespace", is_namespaced=True)]
    if is_needed:
        raise EmbeddedError(
            f"PostgreSQL cannot run as {_name_of(os.geteuid())}, no other user can enter the folder, "
            f"and a user namespace is refused: {reason}",
            hint=NAMESPACE_HINT,
        )
    return []


def _can_enter(account: Account, folder: Path) -> bool:
    return subprocess.run(["test", "-x", str(folder)], check=False, cwd="/", **account.options).returncode == 0


def _entry_of(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _name_of(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return f"uid {uid}"


def _group_of(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid
