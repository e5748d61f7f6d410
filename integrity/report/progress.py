"""Listeners of any job while it works: what is to be noted, as lines on stderr, and a bar where stderr is a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from integrity.events import Advanced, AuditStarted, Event, FileWritten, InvariantJudged, Listener, Noted
from integrity.report.terminal import open_console, write_note


def write_notes(event: Event) -> None:
    """Write what people should read beside the result."""
    if isinstance(event, Noted):
        write_note(event.text)
    elif isinstance(event, FileWritten) and event.is_told:
        write_note(f"wrote {' and '.join(map(str, event.files))}")


@contextmanager
def open_bar() -> Iterator[Listener]:
    """Yield a listener that shows how far a job is, in a bar; nothing where nobody looks at it.

    It is to be told first: whatever else an event tells is written by others, and the bar makes room for it.
    """
    if not sys.stderr.isatty():
        yield lambda _event: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=open_console(), transient=True) as progress:
        task = progress.add_task("", total=None)
        progress.stop()

        def show(event: Event) -> None:
            match event:
                case AuditStarted():
                    progress.update(task, description="judging", total=len(event.invariants))
                case InvariantJudged():
                    progress.advance(task)
                case Advanced():
                    description = f"{event.work} {event.item}"
                    progress.update(task, description=description, completed=event.done, total=event.total)
                case _:
                    progress.stop()
                    return
            progress.start()

        yield show
