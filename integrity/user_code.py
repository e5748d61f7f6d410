"""Whose code raised an exception: ours, or the user's, whose stages, seeders, services and operations we call.

Whoever imports a module of the user's claims it, with what lies beside it. An exception that came through such a file is
the user's, whatever was called from there.
"""

import linecache
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import unwrap
from itertools import islice
from pathlib import Path
from traceback import walk_tb
from types import CodeType, FrameType
from typing import Any

import integrity
from integrity.errors import UserCodeError

_folders: set[str] = set()
_packages: set[str] = set()


def claim(module_name: str, folder: str) -> None:
    """Note that a module is the user's, and so is its package.

    Args:
        folder: all below it is the user's too, but for what is installed there; empty: none.
    """
    _packages.add(module_name.partition(".")[0])
    if folder:
        _folders.add(folder)


def forget_claims() -> None:
    """Begin anew: what a command claims is for its own end alone."""
    _folders.clear()
    _packages.clear()


def as_user_error(error: BaseException) -> UserCodeError | None:
    """Return the exception as one of the user's code, with the innermost place there; None: it is another's."""
    if isinstance(error, UserCodeError):
        return error
    frames = [
        (frame.f_code, line)
        for frame, line in walk_tb(error.__traceback__)
        if _is_of_user(frame.f_code.co_filename, frame.f_globals.get("__name__", ""))
    ]
    if not frames or isinstance(error, MemoryError):
        return None
    code, line = frames[-1]
    return make_user_error(f"{_shown(code.co_filename)}:{line}, in {code.co_name}: {said_by(error)}")


def make_user_error(message: str, *, also: str = "") -> UserCodeError:
    """Return the error of a mistake in the user's code.

    Args:
        message: begins with the place.
        also: what helps instead, where it was meant.
    """
    hint = "It is code of yours that integrity called: mend it there, then give the command again."
    return UserCodeError(message, hint=f"{hint} {also}".rstrip())


def said_by(error: BaseException) -> str:
    """Return an exception as the last line of its traceback has it."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}{': ' if said else ''}{said}"


def place_in_operation(steps: object, error: BaseException | None = None) -> str:
    """Return where an operation went wrong, as "bank.py:12, in withdraw"; empty: it is none of a user's.

    Args:
        steps: the generator of its call.
        error: that came out of it; None, or one of ours on what it yielded: the place is where it begins.
    """
    if place := getattr(error, "place", ""):
        return str(place)
    for frame, line in reversed(list(walk_tb(error.__traceback__ if error else None))):
        if not is_installed(frame.f_code.co_filename):
            return f"{_shown(frame.f_code.co_filename)}:{line}, in {frame.f_code.co_name}"
    code = getattr(steps, "gi_code", None)
    if code is None or is_installed(code.co_filename):
        return ""
    return f"{_shown(code.co_filename)}:{code.co_firstlineno}, in {code.co_name}"


Spot = tuple[CodeType, int]
"""Some code, and which of its instructions."""


def spots_of(steps: Any) -> Sequence[Spot]:
    """Return where a generator stands, then the one that it waits for, and so on; none where it has ended.

    It is asked for with every step, so it makes no words of it, nor looks for the line: Python counts from the first to it.
    """
    if getattr(steps, "gi_yieldfrom", None) is None:  # of most; the way round the loop is the longer one
        frame = getattr(steps, "gi_frame", None)
        return () if frame is None else ((frame.f_code, frame.f_lasti),)
    spots = []
    while (frame := getattr(steps, "gi_frame", None)) is not None:
        spots.append((frame.f_code, frame.f_lasti))
        steps = steps.gi_yieldfrom
    return spots


def describe_spots(spots: Sequence[Spot]) -> str:
    """Return the innermost of these that is a user's, as "bank.py:12, in withdraw"; empty: none is."""
    code, at = next((each for each in reversed(spots) if not is_installed(each[0].co_filename)), (None, 0))
    return f"{_shown(code.co_filename)}:{_line_of(code, at)}, in {code.co_name}" if code else ""


def _line_of(code: CodeType, at: int) -> int:
    """Return the line of an instruction; that of the code's beginning, where it was made without lines."""
    return next((line for start, end, line in code.co_lines() if start <= at < end and line), code.co_firstlineno)


def place_of_caller() -> str:
    """Return the innermost line of a user's that led to this call, in the same way."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_installed(frame.f_code.co_filename):
        frame = frame.f_back
    return describe_spots([(frame.f_code, frame.f_lasti)])


@dataclass(frozen=True, slots=True)
class Written:
    """Lines of a user's, from one to another."""

    file: str
    line: int
    end: int

    @property
    def path(self) -> str:
        """The file as it is shown."""
        return _shown(self.file)

    @property
    def text(self) -> str:
        """What stands there; empty: in no file."""
        linecache.checkcache(self.file)
        return "".join(linecache.getlines(self.file)[self.line - 1 : self.end])


def written_by_caller() -> Written | None:
    """Return the innermost expression of a user's that led to this call; None: there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (is_installed(file := frame.f_code.co_filename) or file.startswith("<")):
        frame = frame.f_back  # what dataclasses make is in "<string>"
    if frame is None:
        return None
    line, end, _, _ = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    return Written(frame.f_code.co_filename, line or frame.f_lineno, end or line or frame.f_lineno)


def place_of(function: Callable[..., Any]) -> str:
    """Return where a function is written, as "bank.py:117"; empty: by us, or nobody can say."""
    code = getattr(unwrap(function), "__code__", None)
    if code is None or is_installed(code.co_filename):
        return ""
    return f"{_shown(code.co_filename)}:{code.co_firstlineno}"


def _is_of_user(file: str, module_name: str) -> bool:
    if module_name.partition(".")[0] in _packages:
        return True
    return any(_is_below(file, folder) for folder in _folders) and not is_installed(file)


@lru_cache(maxsize=1024)
def is_installed(file: str) -> bool:
    """Whether a file is ours, Python's or a package's, and so none of a user's."""
    return any(_is_below(file, folder) for folder in _installed())


def _is_below(file: str, folder: str) -> bool:
    return Path(file).is_relative_to(folder)


@lru_cache
def _installed() -> tuple[str, ...]:
    """Return where we are, and Python with its packages, which may all be below a project: its `.venv`."""
    own = str(Path(integrity.__file__).parent)
    return own, *{sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}


def _shown(file: str) -> str:
    """Return the file's path as short as it can be: from the current folder where it is below it."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file
