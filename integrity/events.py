"""Events: what a job tells while it works. They are all of one family, and a job does not know who listens.

    outcome = listen(job, write_notes, bar)

A job is a generator that yields events and returns what came out. An audit yields AuditStarted, InvariantJudged (one an
invariant, as each is found out), AuditFinished; whatever takes its time Advanced, what people should read beside the result
Noted, and what lies on disk afterwards FileWritten. An event that carries a room's own types stands in that room, as a
subclass of Event.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from integrity.verdict import InvariantVerdict, Severity

ReturnedValue = TypeVar("ReturnedValue")


@dataclass(frozen=True, slots=True)
class Event:
    """The family."""


Job: TypeAlias = Generator[Event, None, ReturnedValue]
Listener: TypeAlias = Callable[[Event], None]


def listen(job: Job[ReturnedValue], *listeners: Listener) -> ReturnedValue:
    """Return what comes out of the job; each listener is told each event, in their order.

    A job whose listener fails is closed: it ends its queries and drops its scratch databases.
    """
    with closing(job):
        while True:
            try:
                event = next(job)
            except StopIteration as end:
                outcome: ReturnedValue = end.value
                return outcome
            for listener in listeners:
                listener(event)


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """Something that people should know while they wait or beside the result, in one sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class Advanced(Event):
    """So much of the work is done.

    Args:
        work: as a verb, e.g. "racing".
        item: what was done last, or is being done; empty: nothing yet.
    """

    work: str
    item: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class FileWritten(Event):
    """These files, written together, are whole.

    Args:
        is_told: somebody asked for them by name; else they lie where they always do.
    """

    files: tuple[Path, ...]
    is_told: bool = True


@dataclass(frozen=True, slots=True)
class AuditStarted(Event):
    """The snapshot is taken.

    Args:
        target: the database, without its password.
        invariants: the names of those to be judged, in the order of reports.
        taken_at: the server's time of the snapshot.
        consistency: what kind of snapshot it is, in one sentence.
        caution: what the role could do beside reading, and which role could not; empty: it reads only.
    """

    target: str
    invariants: tuple[str, ...]
    taken_at: datetime
    consistency: str
    caution: str = ""


@dataclass(frozen=True, slots=True)
class InvariantJudged(Event):
    """One invariant's verdict with everything a reader needs to understand it.

    Args:
        finding: the verdict and its evidence.
        title, severity, source, why, hint: of the file's header.
        path: the file.
        rows_estimate: of the largest table in scope; None when the server does not know.
        operation_count: operation ids in the evidence rows.
        calls: the first of those operations' calls in the history, column -> value.
    """

    finding: InvariantVerdict
    title: str
    severity: Severity
    source: str
    why: str
    hint: str
    path: str
    rows_estimate: int | None
    operation_count: int
    calls: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class AuditFinished(Event):
    """All are judged.

    Args:
        seconds: from the connection to the last verdict.
    """

    seconds: float
