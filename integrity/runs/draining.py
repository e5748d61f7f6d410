"""What a run waited for between its last call by plan and its end, a record of its result."""

from collections.abc import Mapping

from integrity.runs.documents import DocumentPart


class DrainedWebhooks(DocumentPart):
    """What a service owed when the calls under way had returned.

    Args:
        again: of them, those that were sent before and not acknowledged.
        last_due_s: until the last of them was due.
    """

    service: str
    operation: str
    count: int
    again: int
    last_due_s: float


class DrainedSweep(DocumentPart):
    """Calls that took up what was open; troubled: those that a service did not answer."""

    operation: str
    calls: int
    troubled: int


class Drain(DocumentPart):
    """The end of a run.

    Args:
        seconds: from when nothing more was drawn, in all; calls_s, webhooks_s, sweeps_s, streams_s: for each part.
        calls: operation -> calls under way when nothing more was drawn; awaited: service -> those that waited for it.
    """

    seconds: float
    calls_s: float = 0.0
    webhooks_s: float = 0.0
    sweeps_s: float = 0.0
    streams_s: float = 0.0
    calls: Mapping[str, int] = {}
    awaited: Mapping[str, int] = {}
    webhooks: tuple[DrainedWebhooks, ...] = ()
    sweeps: tuple[DrainedSweep, ...] = ()
