"""Whoever asked for a file by name is told what became of it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from integrity.events import Event, FileWritten, Job, Noted, listen
from integrity.jobs.findings import Wanted
from integrity.jobs.wanted import telling

FOUND, TEST, PLAIN = Path("found.json"), Path("test_sell.py"), Path("sell.py")


@dataclass(frozen=True)
class Ended:
    exit_code: int


def job(code: int, *files: Path) -> Job[Ended]:
    yield Noted("as it went")
    if files:
        yield FileWritten(files)
    return Ended(code)


@pytest.mark.parametrize(
    ("wanted", "code", "written", "told"),
    [
        (Wanted(), 0, (), []),
        (Wanted(FOUND, TEST), 0, (), [f"{file} was not written: nothing was found" for file in (FOUND, TEST)]),
        (Wanted(None, TEST), 3, (), [f"{TEST} was not written: nothing was found"]),
        (Wanted(None, TEST), 1, (), []),  # it was found, and why there is no test was noted
        (Wanted(None, TEST), 1, (TEST, Path("test_sell.sql")), []),
        (Wanted(None, TEST), 0, (TEST,), []),  # a replay writes it in any case
        (Wanted(None, Path("sell_test.py")), 1, (Path("sell_test.py"),), []),
        (Wanted(None, PLAIN), 1, (PLAIN,),
            ["pytest passes sell.py by where no path is given, as it is not called test_*.py: pytest sell.py"]),
    ],
)  # fmt: skip
def test_a_wanted_file_that_is_empty_or_passed_by_is_told(
    wanted: Wanted, code: int, written: tuple[Path, ...], told: list[str]
) -> None:
    notes: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, Noted):
            notes.append(event.text)

    ended = listen(telling(job(code, *written), wanted), note)
    assert (ended, notes) == (Ended(code), ["as it went", *told])
