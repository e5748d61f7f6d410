"""Whoever asked for a file by name is told what became of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from integrity.events import Event, FileWritten, Job, Noted, listen
from integrity.jobs.findings import NotWritten, Wanted, export
from integrity.jobs.wanted import telling
from integrity.race.export.case import CannotTell

if TYPE_CHECKING:
    from integrity.race.study import Study

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


@dataclass(frozen=True)
class Untellable:
    """Stands for a study whose race shows in nothing that a test could see."""

    def export(self, path: Path, *, replay_command: str) -> Path:
        raise CannotTell("this race shows in the replies")


@pytest.mark.parametrize("code", [0, 1])
def test_a_finding_that_no_test_can_tell_is_a_finding_all_the_same(code: int) -> None:
    def exporting() -> Job[Ended]:
        yield export(cast("Study", Untellable()), TEST, replay_command="")
        return Ended(code)

    events: list[Event] = []
    assert listen(telling(exporting(), Wanted(None, TEST)), events.append) == Ended(code)
    said = f"{TEST} was not written: this race shows in the replies; keep the finding and replay it"
    assert events == [NotWritten(said, TEST)]
