"""The calls of a run, measured: every one counted by how it ended, its latency kept for percentiles.

What they need does not grow with the run. A latency is that of a call that was answered (ok or declined), in ms from the
intended start; one that was unavailable, failed or is unknown counts as such and has none, or a fast refusal would make the
system look quick.
"""

import re
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from integrity.history import Outcome, Returned
from integrity.measure.client_lags import ClientLags
from integrity.measure.distribution import Distribution, percentiles
from integrity.runs.result import GroupResult, OperationResult
from integrity.runs.samples import Counts, OperationSample, RunSample

ERRORS_MOST = 10  # kinds of error that are listed
OTHER_ERRORS = "other errors"
RECENT_SAMPLES = 10
_ID = re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b")


@dataclass(slots=True)
class OperationMeasure:
    """What is known of one operation's calls, in the order of return; and of what its streams brought.

    Args:
        own_ms: of answered calls that asked outside services: the latency without the waits for their answers.
        group: of operations that are counted together; empty: none.
        writes_ms: of each commit that wrote, from when it was sent until it was answered.
        settled_ms: until the first webhook that followed a call was acknowledged.
        lags_ms: of each event that subscribers received, from when the system says it was sent.
        client_lags: the same, client by client.
        missed: events that came neither in their turn nor later, by the gaps in their sequence.
        broken: open streams that ended by themselves.
        reasons: why calls were declined.
        checks, checks_held: how often each check of an answer was made, and how often it held.
        late, late_answered: of them, what returned, and was answered, when no more were drawn: no rate counts them.
        arrivals_answered: answered calls that the schedule of an open loop asked for: no webhooks, streams or sweeps.
        keeps_stream: whether subscribers keep a stream open by it.
        unsampled_ms, sampled_ms: latencies since the last sample, and those of the last RECENT_SAMPLES.
    """

    group: str = ""
    keeps_stream: bool = False
    ok: int = 0
    declined: int = 0
    unavailable: int = 0
    failed: int = 0
    unknown: int = 0
    abandoned: int = 0
    not_sent: int = 0
    retries: int = 0
    latencies_ms: Distribution = field(default_factory=Distribution)
    own_ms: Distribution = field(default_factory=Distribution)
    writes_ms: Distribution = field(default_factory=Distribution)
    settled_ms: Distribution = field(default_factory=Distribution)
    lags_ms: Distribution = field(default_factory=Distribution)
    client_lags: ClientLags = field(default_factory=ClientLags)
    missed: int = 0
    broken: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    checks_held: Counter[str] = field(default_factory=Counter)
    late: int = 0
    late_answered: int = 0
    arrivals_answered: int = 0
    unsampled_ms: "array[float]" = field(default_factory=lambda: array("d"))
    sampled_ms: "deque[array[float]]" = field(default_factory=lambda: deque(maxlen=RECENT_SAMPLES))

    @property
    def calls(self) -> int:
        return self.ok + self.declined + self.unavailable + self.failed + self.unknown

    @property
    def answered(self) -> int:
        return self.ok + self.declined

    @property
    def offered(self) -> int:
        """Calls that were to be made; those not sent are the generator's."""
        return self.calls + self.not_sent

    @property
    def faults(self) -> int:
        """Calls that went wrong by themselves: those whose client was made to die are no fault of the system's."""
        return self.unavailable + self.failed + self.unknown - self.abandoned

    def add(self, returned: Returned, latency_ms: float) -> None:
        outcome = returned.outcome
        if outcome is Outcome.OK:
            self.ok += 1
            self._add_latency(latency_ms)
        elif outcome is Outcome.DECLINED:
            self.declined += 1
            self.reasons[str(returned.reply and returned.reply.get("reason"))] += 1
            self._add_latency(latency_ms)
        else:
            if outcome is Outcome.UNAVAILABLE:
                self.unavailable += 1
            elif outcome is Outcome.FAILED:
                self.failed += 1
            else:
                self.unknown += 1
            if returned.was_abandoned:
                self.abandoned += 1
            else:
                self._count_error(returned.error or f"{outcome}: {(returned.reply or {}).get('reason')}")
        self.retries += returned.attempts - 1
        if not returned.was_abandoned:
            for name, holds in returned.checks:
                self.checks[name] += 1
                self.checks_held[name] += holds
        for write_ms in returned.writes_ms:
            self.writes_ms.append(write_ms)

    def _add_latency(self, latency_ms: float) -> None:
        self.latencies_ms.append(latency_ms)
        self.unsampled_ms.append(latency_ms)

    def _count_error(self, error: str) -> None:
        error = without_ids(error)
        kind = error if error in self.errors or len(self.errors) < ERRORS_MOST else OTHER_ERRORS
        self.errors[kind] += 1


def without_ids(error: str) -> str:
    """Return an error without what differs from call to call: ids of requests and operations. It counts as one kind."""
    return _ID.sub("...", error)


class Measures:
    """The measures of a run by operation, in the order in which they were first called.

    Args:
        groups: operation -> what it is counted with.
    """

    def __init__(self, groups: Mapping[str, str] = MappingProxyType({})) -> None:
        self.groups = groups
        self.operations: dict[str, OperationMeasure] = {}
        self.is_drawn = False
        """No more calls are drawn."""
        self.calls_sampled = 0
        self._faults_sampled = 0

    def of(self, operation: str) -> OperationMeasure:
        measure = self.operations.get(operation)
        if measure is None:
            measure = self.operations[operation] = OperationMeasure(self.groups.get(operation, ""))
        return measure

    def add(self, operation: str, returned: Returned, latency_ms: float) -> None:
        """Count a call that has returned."""
        measure = self.of(operation)
        measure.add(returned, latency_ms)
        if self.is_drawn:
            measure.late += 1
            measure.late_answered += returned.outcome in (Outcome.OK, Outcome.DECLINED)

    def sample(self, elapsed_s: float, *, at_us: int, rss_mb: float) -> RunSample:
        """Return the state at this moment.

        Of each operation the counts so far, and percentiles of what returned since the last sample; of all together the
        calls and faults since then, and their p95_ms.

        Args:
            at_us: on the clock of calls; rss_mb: of the generator.
        """
        calls = sum(measure.calls for measure in self.operations.values())
        calls_new, self.calls_sampled = calls - self.calls_sampled, calls
        new = [measure.unsampled_ms for measure in self.operations.values()]
        faults = sum(measure.faults for measure in self.operations.values())
        faults_new, self._faults_sampled = faults - self._faults_sampled, faults
        return RunSample(
            at_us=at_us,
            elapsed_s=round(elapsed_s, 3),
            calls=calls_new,
            faults=faults_new,
            p95_ms=percentiles(np.concatenate(new) if new else [])["p95_ms"],
            operations={name: _sample(measure) for name, measure in self.operations.items()},
            rss_mb=rss_mb,
        )

    def counts(self) -> dict[str, Counts]:
        """Return each operation's counts so far."""
        return {name: Counts(**_counts(measure)) for name, measure in self.operations.items()}

    def recent_ms(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return each operation's latencies over the last RECENT_SAMPLES samples, for watching."""
        return {
            name: np.concatenate([*measure.sampled_ms, measure.unsampled_ms]) for name, measure in self.operations.items()
        }


def _sample(measure: OperationMeasure) -> OperationSample:
    new, measure.unsampled_ms = measure.unsampled_ms, array("d")
    measure.sampled_ms.append(new)
    return OperationSample.model_validate({**_counts(measure), **percentiles(new)})


def _counts(measure: OperationMeasure) -> dict[str, int]:
    return {
        "calls": measure.calls,
        "ok": measure.ok,
        "declined": measure.declined,
        "unavailable": measure.unavailable,
        "failed": measure.failed,
        "unknown": measure.unknown,
        "abandoned": measure.abandoned,
        "not_sent": measure.not_sent,
        "retries": measure.retries,
    }


def summarize(measures: Measures, elapsed_s: float) -> list[OperationResult]:
    """Return one record an operation, the busiest first, and one of all together named "total" last."""
    rows = [
        _summary(name, m, elapsed_s) for name, m in sorted(measures.operations.items(), key=lambda item: -item[1].calls)
    ]
    return [*rows, _summary("total", _together(measures.operations.values()), elapsed_s)]


def summarize_groups(measures: Measures, elapsed_s: float) -> list[GroupResult]:
    """Return one record a group, by its name."""
    found = []
    for group in sorted({measure.group for measure in measures.operations.values()} - {""}):
        its = {name: measure for name, measure in measures.operations.items() if measure.group == group}
        together = _together(its.values())
        share = together.faults / sent if (sent := together.calls - together.abandoned) else None
        row = _summary(group, together, elapsed_s).model_dump(exclude={"operation"})
        found.append(GroupResult(group=group, operations=tuple(its), failure_share=_rounded(share, 6), **row))
    return found


def _together(measures: Iterable[OperationMeasure]) -> OperationMeasure:
    chosen, total = list(measures), OperationMeasure()
    for measure in chosen:
        for count in ("ok", "declined", "unavailable", "failed", "unknown", "abandoned", "not_sent", "retries", "late"):
            setattr(total, count, getattr(total, count) + getattr(measure, count))
    total.latencies_ms = Distribution.of(measure.latencies_ms for measure in chosen)
    return total


def _summary(name: str, measure: OperationMeasure, elapsed_s: float) -> OperationResult:
    latencies_ms = measure.latencies_ms
    return OperationResult.model_validate(
        {
            "operation": name,
            **_counts(measure),
            "calls_per_s": round((measure.calls - measure.late) / elapsed_s, 1) if elapsed_s else None,
            "mean_ms": _rounded(latencies_ms.mean),
            **percentiles(latencies_ms),
            "max_ms": _rounded(latencies_ms.greatest),
        }
    )


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
