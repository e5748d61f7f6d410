"""Bad input: a case, and what must be true of how a command ends that was given it.

Every case is a command line in a project of its own, in this process through `main`. Whatever it is, it ends with the exit
code of the table, with nothing on stdout and with one short paragraph on stderr that holds the place and the value: never a
traceback, a password, a blank line or a character that a terminal obeys. What was there before is there afterwards.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from integrity.cli.main import main

LINES_MOST = 8
LETTERS_MOST = 2000
SECRET = "hunter2"  # the password of every URL in a case
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

Ended = tuple[int, str, str]
Integrity = Callable[..., Ended]


@dataclass(frozen=True, slots=True)
class Bad:
    """Something that cannot be done.

    Args:
        line: the command line; words that hold blanks are given as a tuple.
        said: what the paragraph holds: place, value, reason, and the next step.
        code: the exit code.
        files: path in the project -> content, written before.
        environment: set for the command.
        on_database: in a project whose database is the seeded one; else the embedded one, which is not to be started.
    """

    line: str | tuple[str, ...]
    said: tuple[str, ...]
    code: int = 2
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    on_database: bool = False

    @property
    def words(self) -> list[str]:
        return self.line.split() if isinstance(self.line, str) else list(self.line)

    def __str__(self) -> str:
        shown = " ".join(self.words)
        files = " ".join(self.files)
        return f"{shown[:70]}{' in ' + files[:40] if files else ''}"


def bad(line: str | tuple[str, ...], *said: str, code: int = 2, files: Mapping[str, str | bytes] | None = None,
        **environment: str) -> Bad:  # fmt: skip
    """Return a case; keywords in capitals are its environment."""
    return Bad(line, said, code, files or {}, environment)


def on_database(
    line: str | tuple[str, ...], *said: str, code: int = 2, files: Mapping[str, str | bytes] | None = None
) -> Bad:
    """Return a case in a project with the seeded database."""
    return Bad(line, said, code, files or {}, {}, on_database=True)


def lay_out(case: Bad, folder: Path) -> None:
    """Write the case's files into its project."""
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> Ended:
    """Run a command in this process; give exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    code: Any = ended.value.code
    captured = capsys.readouterr()
    assert isinstance(code, int)
    return code, captured.out, captured.err


def assert_one_paragraph(ended: Ended, *, code: int, said: tuple[str, ...], value: str = "") -> None:
    """Assert how a command ended that could not do what it was told.

    Args:
        value: that was bad, in full: if it is long, the paragraph has only the start of it.
    """
    got, out, err = ended
    assert got == code, err
    assert out == "", "a result is either whole or none"
    err = err[
        ("\n" + err).rfind("\nintegrity: ") :
    ]  # `run` says before what it is about to do, and a question what it asks
    assert err.startswith("integrity: ")
    assert "Traceback" not in err
    assert SECRET not in err
    assert "\n\n" not in err, "one paragraph"
    assert len(err.splitlines()) <= LINES_MOST
    assert len(err) <= LETTERS_MOST
    assert not _OBEYED.search(err.replace("\n", " ").replace("\t", " "))
    assert len(value) < 100 or value not in err
    for each in said:
        assert each in err, err


def assert_refused(case: Bad, ended: Ended, before: Mapping[str, bytes], folder: Path) -> None:
    """Assert how a case ended in a project that held those files before."""
    assert_one_paragraph(ended, code=case.code, said=case.said)
    after = files_in(folder)
    assert {name: after.get(name) for name in before} == before, "what was there is there, as it was"
    if case.code == 2:
        assert not any(name.startswith(".integrity/errors") for name in after), "a user's error is no error of ours"


def files_in(folder: Path) -> dict[str, bytes]:
    """Return what the small files of a project hold; those of a server are its own affair."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and "postgres" not in path.parts and path.stat().st_size < 1_000_000
    }
