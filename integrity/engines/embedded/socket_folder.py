"""The folder of the embedded server's socket: in the server's home, where a path of it fits into an address of a socket.

Where the home's path is too long, or has characters that a connection string takes for its own, `socket` is a link to a
short folder elsewhere, in which a link named `home` leads back. It stays until the data goes, as the server's URL names it.
Either way only the server's account can enter it.
"""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from integrity.engines.embedded.account import Account
from integrity.errors import EmbeddedError

SOCKET = "socket"
_BACK = "home"
PORT = 5432  # only the name of the socket file: the server does not listen on TCP
PATH_BYTES_MAX = 103  # sun_path: 107 on Linux, 103 on macOS


@dataclass(frozen=True, slots=True)
class SocketFolder:
    """Where the socket of the server with that home is, or will be.

    Args:
        entry: the folder, or the link to it.
    """

    entry: Path

    @property
    def folder(self) -> str:
        """The folder itself, as libpq's host."""
        return os.path.realpath(self.entry)

    @property
    def socket(self) -> Path:
        return Path(self.folder) / f".s.PGSQL.{PORT}"

    def make(self, account: Account) -> Path:
        """Return the folder, which belongs to the account then.

        Raises:
            EmbeddedError: even the short paths are too long.
            OSError: it cannot be made.
        """
        if _is_fit(self.entry):
            if self.entry.is_symlink():  # the home folder was moved
                self.entry.unlink()
            self.entry.mkdir(mode=0o700, exist_ok=True)
            account.own(self.entry)
            return self.entry
        if self.entry.is_symlink():
            if self._is_still_ours(account):
                return Path(self.folder)
            self.unlink()
        elif self.entry.exists():
            shutil.rmtree(self.entry)
        short = _make_short_folder()
        (short / _BACK).symlink_to(self.entry.parent)
        account.own(short)
        self.entry.symlink_to(short)
        return short

    def _is_still_ours(self, account: Account) -> bool:
        """Whether the short folder is there, leads to this home, and is nobody else's: temporary ones are tidied away."""
        try:
            owner = os.lstat(self.folder).st_uid
        except OSError:
            return False
        is_owned = owner == (os.geteuid() if account.uid is None else account.uid)
        return is_owned and _is_fit(Path(self.folder)) and home_of(self.folder) == self.entry.parent

    def unlink(self) -> None:
        """Remove a short folder and the link to it; a folder in the home stays for the next start.

        A home that was copied has the link of the one that it was copied from, whose folder stays.
        """
        if self.entry.is_symlink():
            if home_of(self.folder) in (None, self.entry.parent):
                shutil.rmtree(self.folder, ignore_errors=True)
            self.entry.unlink()


def home_of(folder: str) -> Path | None:
    """Return the home of the embedded server whose socket is, or was, in that folder; None: it is no such folder."""
    place = Path(folder)
    if not place.is_absolute():
        return None
    try:
        home = place.parent if place.name == SOCKET else (place / _BACK).readlink()
        is_home = (home / "data" / "PG_VERSION").is_file() and (home / SOCKET).resolve() == place.resolve()
    except OSError:  # there is no such link, or what is there is closed to us
        return None
    return home if is_home else None


def _is_fit(folder: Path) -> bool:
    path = f"{folder}/.s.PGSQL.{PORT}"
    return len(path) <= PATH_BYTES_MAX and re.fullmatch(r"[A-Za-z0-9_./+-]+", path) is not None


def _make_short_folder() -> Path:
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes a folder of ours there, open to nobody else
        if _is_fit(Path(parent) / "integrity-00000000"):
            return Path(tempfile.mkdtemp(prefix="integrity-", dir=parent))
    raise EmbeddedError(f"{tempfile.gettempdir()}: too long a path for a socket", hint="Set TMPDIR to a short one.")
