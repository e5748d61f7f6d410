"""Tests that are written of races, sealed: a later command replaces one only as long as nobody has edited it.

    check_unedited(Path("test_sell.py"))     # before a search that ends on writing it
    write_sealed(Path("test_sell.py"), text, Path("test_sell.sql"), script)

The last line of the test is a digest of it and of the file beside it. A test with none is of somebody else's writing, or of
somebody who took the line out; a formatter edits it, too: then it is left as it is, for nothing there is to be lost.
"""

import hashlib
import re
from pathlib import Path

from integrity.errors import UsageError

_SEAL = re.compile(r"# sealed with (\S+): ([0-9a-f]{16}) ([0-9a-f]{16})\n\Z")
_TOLD = "# integrity replaces this file, and the one beside it, only while nobody has edited them."


class InTheWay(UsageError):
    """A file is there that would be lost."""


def write_sealed(path: Path, text: str, beside: Path, beside_text: str) -> None:
    """Write a test and the file beside it.

    Raises:
        InTheWay: one of them is there, and not as it was written.
        UsageError: one cannot be written.
    """
    check_unedited(path, beside)
    text = f"{text.rstrip()}\n\n\n{_TOLD}\n"
    seal = f"# sealed with {beside.name}: {_digest(text)} {_digest(beside_text)}\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(beside_text, encoding="utf-8")
        path.write_text(text + seal, encoding="utf-8")
    except OSError as error:
        place = error.filename or path
        raise UsageError(f"{place}: cannot be written: {error.strerror}", hint="Name another file: --pytest") from None


def check_unedited(path: Path, beside: Path | None = None) -> None:
    """Make sure that a test can be written without anything being lost.

    Args:
        beside: the file that is to stand beside it; None: not known yet, and that of the test there counts.

    Raises:
        InTheWay: one of them is there, and not as it was written.
        UsageError: one cannot be read.
    """
    text = _read(path)
    seal = _SEAL.search(text) if text is not None else None
    digests = {path: seal[2], path.with_name(seal[1]): seal[3]} if seal else {}
    bodies = {path: text[: seal.start()] if seal and text is not None else text}
    for file in {*digests, *([beside] if beside else ())} - {path}:
        bodies[file] = _read(file)
    there = {file: body for file, body in bodies.items() if body is not None}
    if edited := [file for file, body in there.items() if _digest(body) != digests.get(file)]:
        raise InTheWay(
            f"{edited[0]}: was edited since it was written, or is of somebody else's writing, and is not replaced",
            hint=f"Name another file: --pytest; or delete {' and '.join(str(file) for file in there)}.",
        )


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}", hint="Name another file: --pytest") from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
