"""The folder of the embedded server's socket: in the server's home, where a path of it fits into an address of a socket.

Where the home's path is too long, or has characters that a connection string takes for its own, `socket` is a link to a
short folder elsewhere. Either way only the server's account can enter it.
"""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from integrity.engines.embedded.account import Account
from integrity.errors import EmbeddedError

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
            self.unlink()
        elif self.entry.exists():
            shutil.rmtree(self.entry)
        short = _make_short_folder()
        account.own(short)
        self.entry.symlink_to(short)
        return short

    def unlink(self) -> None:
        """Remove a short folder and the link to it; a folder in the home stays for the next start."""
        if self.entry.is_symlink():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.entry.unlink()


def _is_fit(folder: Path) -> bool:
    path = f"{folder}/.s.PGSQL.{PORT}"
    return len(path) <= PATH_BYTES_MAX and re.fullmatch(r"[A-Za-z0-9_./+-]+", path) is not None


def _make_short_folder() -> Path:
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes a folder of ours there, open to nobody else
        if _is_fit(Path(parent) / "integrity-00000000"):
            return Path(tempfile.mkdtemp(prefix="integrity-", dir=parent))
    raise EmbeddedError(f"{tempfile.gettempdir()}: too long a path for a socket", hint="Set TMPDIR to a short one.")
