"""The end of a run as text: what it waited for behind its last call by plan, where that took long."""

from collections.abc import Iterator

from integrity.numbers import counted
from integrity.runs.draining import Drain

TOLD_S = 2.0
"""A run that ends within so long has nothing to explain."""

PART_TOLD_S = 0.1


def explain_drain(drain: Drain | None) -> str:
    """Return why a run did not end at once; empty: it did, or nobody knows."""
    if drain is None or drain.seconds < TOLD_S:
        return ""
    parts = "; ".join(_parts(drain))
    return f"It took {drain.seconds:.1f} s to end after its last call was drawn" + (f": {parts}." if parts else ".")


def _parts(drain: Drain) -> Iterator[str]:
    if drain.calls_s >= PART_TOLD_S:
        calls = ", ".join(f"{count} of {name}" for name, count in drain.calls.items())
        awaited = ", ".join(f"{count} for {name}" for name, count in drain.awaited.items())
        yield f"{drain.calls_s:.1f} s for calls under way{_in_brackets(calls)}" + (
            f", waiting for an outside answer: {awaited}" if awaited else ""
        )
    if drain.webhooks_s >= PART_TOLD_S:
        owed = [
            f"{counted(each.count, 'webhook')} of {each.service or 'a service'} to {each.operation}, the last due "
            f"{each.last_due_s:.1f} s later" + (f", {each.again} sent again" if each.again else "")
            for each in drain.webhooks
        ]
        yield f"{drain.webhooks_s:.1f} s for webhooks{_in_brackets('; '.join(owed))}"
    if drain.sweeps_s >= PART_TOLD_S:
        swept = [
            counted(each.calls, f"call of {each.operation}", f"calls of {each.operation}")
            + (f", {each.troubled} not answered by a service" if each.troubled else "")
            for each in drain.sweeps
        ]
        yield f"{drain.sweeps_s:.1f} s for what was left open{_in_brackets('; '.join(swept))}"
    if drain.streams_s >= PART_TOLD_S:
        yield f"{drain.streams_s:.1f} s for streams to bring what was sent"


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""
