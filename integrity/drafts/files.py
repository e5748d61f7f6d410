"""Where drafts are written, and that they never take the place of what is there."""

import re
from pathlib import Path

from integrity.errors import UsageError, quote

_NAME = re.compile(r"[^\W_][\w-]*(?:/[^\W_][\w-]*)*")


def draft_path(folder: Path, kind: str, name: str, *, suffix: str = ".sql") -> Path:
    """Return where the draft of that name is to be.

    Args:
        kind: the folder in the project, e.g. "invariants".

    Raises:
        UsageError: the name is none of a file there.
    """
    bare = name.removesuffix(suffix)
    if not _NAME.fullmatch(bare) or len(bare) > NAME_MOST:
        raise UsageError(
            f"{quote(name)} is no name of a file in {kind}/",
            hint="Letters, digits, - and _, and a / before the name of a folder: accounts/no-negative-balance.",
        )
    return folder / kind / f"{bare}{suffix}"


NAME_MOST = 150


def write_draft(path: Path, text: str) -> bool:
    """Write a draft; return False where that very one is there.

    Raises:
        UsageError: another file is there, or it cannot be written.
    """
    if write_new(path, text):
        return True
    if path.read_bytes() != text.encode():
        raise UsageError(f"{path} is there already: nothing was written", hint="Give another name, or remove it.")
    return False


def write_new(path: Path, text: str) -> bool:
    """Write a file, and the folders above it; return False where one is there, which is left as it is.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        if not path.exists():  # of a folder above it: a file has its name
            raise UsageError(f"{path.parent}: is no folder", hint="Remove it, or give another name.") from None
        return False
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}", hint="Work in a folder that you may write."
        ) from None
    return True
