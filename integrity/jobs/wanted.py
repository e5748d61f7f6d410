"""What becomes of the files that somebody asked for by name: told where nothing was found to write, too.

raced = listen(telling(race(chosen, target, project, wanted), wanted), write_notes)
"""

from contextlib import closing
from pathlib import Path
from typing import Protocol, TypeVar

from integrity.events import FileWritten, Job, Noted
from integrity.exit_codes import ExitCode
from integrity.jobs.findings import NotWritten, Wanted


class Outcome(Protocol):
    """What comes out of a job that looks for a finding."""

    @property
    def exit_code(self) -> int: ...


Found = TypeVar("Found", bound=Outcome)


def telling(job: Job[Found], wanted: Wanted) -> Job[Found]:
    """Return what comes out of the job; note behind it which wanted file has nothing in it, or is passed by by pytest."""
    written: set[Path] = set()
    told: set[Path] = set()
    with closing(job):
        while True:
            try:
                event = next(job)
            except StopIteration as end:
                found: Found = end.value
                break
            if isinstance(event, FileWritten):
                written.update(event.files)
            elif isinstance(event, NotWritten):
                told.add(event.file)
            yield event
    test = wanted.pytest_file
    if test is not None and test in written and not (test.name.startswith("test_") or test.name.endswith("_test.py")):
        yield Noted(f"pytest passes {test} by where no path is given, as it is not called test_*.py: pytest {test}")
    if found.exit_code != ExitCode.VIOLATED:
        unwritten = [file for file in (wanted.output, test) if file is not None and file not in written | told]
        yield from (Noted(f"{file} was not written: nothing was found") for file in unwritten)
    return found
