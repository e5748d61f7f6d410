"""Judging: a run's measures held against a profile's limits.

On fewer samples than its statistic needs a limit never passes. It fails all the same where no further sample could save it:
those that lack are taken for as good as they could have been.

The load generator's own lateness counts only where it decides: a latency is unknown where so much more or less would turn a
limit that is kept into one that is missed. Calls that it did not send are no failures of the system's; whether the rate was
achieved is a limit of its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from integrity.errors import quote
from integrity.load.statistics import Kind
from integrity.load.thresholds import Grade, Threshold
from integrity.measure.calls import Measures, OperationMeasure
from integrity.measure.client_lags import HEARD_LEAST
from integrity.measure.distribution import Distribution, percent_of
from integrity.measure.trends import Recovery
from integrity.numbers import counted

RESOURCE_UNSEEN = "nobody watched it"


@dataclass(frozen=True, slots=True)
class ThresholdJudgement:
    """One threshold judged.

    Args:
        measured: in ms or as a share; None: not measured.
        sample_count: what it was measured on.
        reason: why it is not measured or unknown, or at which load it was; else empty.
        left_out: what the figure does not say anything of, e.g. "3 calls that were not sent"; else empty.
    """

    threshold: Threshold
    state: Grade
    measured: float | None
    sample_count: int
    reason: str = ""
    left_out: str = ""


@dataclass(slots=True)
class RowTimes:
    """What a query found of a run.

    Args:
        times_ms: of its rows, how long each took.
        never: rows without a time.
        reason: why it could not be asked; else empty.
        pieces: the same of those rows that began in each of some spans, where it was asked for spans and could be.
    """

    times_ms: Distribution = field(default_factory=Distribution)
    never: int = 0
    reason: str = ""
    pieces: Sequence["RowTimes"] = ()

    def add(self, took_ms: float | None) -> None:
        """Count a row; None: it never came."""
        if took_ms is None:
            self.never += 1
        else:
            self.times_ms.append(took_ms)

    def __len__(self) -> int:
        return len(self.times_ms) + self.never


NOT_LOADED = RowTimes(reason="the history was not loaded")


@dataclass(frozen=True, slots=True)
class _Figure:
    """What a threshold came to.

    Args:
        value: None: there was nothing to measure.
        count: of samples.
        turns: whether the generator's lateness decides.
        is_lost: whether the limit is missed also if the samples that lack to the least number were as good as can be, and
            as late as the generator was.
        cause: why there is none.
    """

    value: float | None
    count: int
    is_lost: bool = False
    turns: bool = False
    left_out: str = ""
    cause: str = ""


def judge(
    thresholds: Sequence[Threshold],
    measures: Measures,
    lag_p99_ms: float | None,
    *,
    seconds: float,
    resources: Mapping[str, float] = MappingProxyType({}),
    resource_counts: Mapping[str, int] = MappingProxyType({}),
    rows: Mapping[str, RowTimes] = MappingProxyType({}),
    recoveries: Sequence[tuple[str, Recovery]] = (),
    shortened: str = "",
) -> list[ThresholdJudgement]:
    """Return the thresholds judged, in their order.

    Args:
        lag_p99_ms: how late the generator was; None: in a closed loop it has no schedule to be late for.
        seconds: how long it was measured, for rates.
        resources: what the monitor saw, by the names of their statistics; resource_counts: in how many samples, where it is
            more than one.
        rows: what the queries found, by their names.
        recoveries: from what, and how that went.
        shortened: what a shortened run has of its plan; empty: all of it.
    """
    judged, late_ms = [], lag_p99_ms or 0.0
    for threshold in thresholds:
        if threshold.of_whole_length and shortened:
            reason = f"it is asked of the whole length only: {shortened}"
            judged.append(ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, 0, reason))
            continue
        if threshold.kind is Kind.RATE:
            judged.append(_judge_rate(threshold, _chosen(threshold, measures), seconds))
            continue
        if threshold.kind is Kind.COUNT:
            judged.append(_judge_count(threshold, _chosen(threshold, measures)))
            continue
        if threshold.kind is Kind.RECOVERY:
            judged.append(_judge_recovery(threshold, recoveries))
            continue
        if threshold.is_resource:
            seen = resources.get(threshold.statistic)
            figure = _Figure(
                seen, resource_counts.get(threshold.statistic, 1) if seen is not None else 0, cause=RESOURCE_UNSEEN
            )
        elif threshold.rows is not None:
            figure = _of_rows(threshold, rows.get(threshold.rows, NOT_LOADED), late_ms)
        elif threshold.kind is Kind.SHARE:
            figure = _share(threshold, _chosen(threshold, measures))
        else:
            figure = _latency(threshold, _chosen(threshold, measures), late_ms)
        judged.append(_grade(threshold, figure, late_ms))
    return judged


def _grade(threshold: Threshold, figure: _Figure, late_ms: float) -> ThresholdJudgement:
    if figure.value is None:
        return ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, figure.count, figure.cause)
    state, measured, reason = threshold.grade(figure.value), figure.value, ""
    if figure.count < threshold.samples_least and figure.is_lost:
        state = Grade.FAILED
    elif figure.count < threshold.samples_least:
        needed = f"{threshold.statistic.replace('_', ' ')} needs {counted(threshold.samples_least, 'sample')}"
        return ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, figure.count, needed, figure.left_out)
    elif figure.turns or (threshold.is_latency and _turns(threshold, figure.value, late_ms)):
        state = Grade.UNKNOWN
        reason = f"the load generator was late (p99 {late_ms:.0f} ms), and so much more or less decides"
    return ThresholdJudgement(threshold, state, measured, figure.count, reason, figure.left_out)


def _turns(threshold: Threshold, measured: float, late_ms: float) -> bool:
    """Return whether the generator's lateness decides between kept and missed."""
    ends = {threshold.grade(value) is Grade.FAILED for value in (max(0.0, measured - late_ms), measured + late_ms)}
    return len(ends) > 1


def _chosen(threshold: Threshold, measures: Measures) -> list[OperationMeasure]:
    return [m for name, m in measures.operations.items() if threshold.covers(name, m.group)]


def _of_rows(threshold: Threshold, found: RowTimes, late_ms: float) -> _Figure:
    if found.reason:
        return _Figure(None, 0, cause=found.reason)
    if not len(found):
        return _Figure(None, 0, cause="the query found nothing of this run")
    if threshold.statistic == "reached_share":
        reached = len(found) - found.never
        if threshold.within_ms is None:
            return _of_share(threshold, reached, len(found))
        # What was over its time by no more than the generator was late may have been in time.
        limits_ms = (threshold.within_ms, threshold.within_ms + late_ms, max(0.0, threshold.within_ms - late_ms))
        figures = [_of_share(threshold, reached - found.times_ms.count_above(limit), len(found)) for limit in limits_ms]
        is_missed = {threshold.grade(each.value or 0.0) is Grade.FAILED for each in figures}
        return replace(figures[0], is_lost=figures[1].is_lost, turns=len(is_missed) > 1)
    figure = _of_times(threshold, threshold.statistic, found.times_ms, late_ms)
    left_out = f"{found.never} that never came" if found.never else ""
    return replace(figure, left_out=left_out, cause=f"none of {len(found)} ever came")


def _latency(threshold: Threshold, chosen: Sequence[OperationMeasure], late_ms: float) -> _Figure:
    if threshold.statistic == "client_lag_p99":
        return _of_clients(threshold, chosen, late_ms)
    kind, _, statistic = threshold.statistic.rpartition("_")
    samples = Distribution.of(
        {
            "": measure.latencies_ms,
            "own": measure.own_ms,
            "write": measure.writes_ms,
            "settled": measure.settled_ms,
            "lag": measure.lags_ms,
        }[kind]
        for measure in chosen
    )
    cause = "" if len(samples) else _why_nothing(kind, threshold.operation or threshold.group, chosen)
    return replace(_of_times(threshold, statistic, samples, late_ms), left_out=_not_sent(chosen), cause=cause)


def _of_clients(threshold: Threshold, chosen: Sequence[OperationMeasure], late_ms: float) -> _Figure:
    """Return the figure of the client that waits longest, of those who heard enough."""
    found = [each for measure in chosen for each in measure.client_lags.percentiles(99)]
    heard = any(len(measure.lags_ms) for measure in chosen)
    cause = f"no client received {HEARD_LEAST} events, of which 99% can be told" if heard else ""
    cause = cause or _why_nothing("lag", threshold.operation or threshold.group, chosen)
    worst = max(found, default=None)
    return _Figure(worst, len(found), (worst or 0.0) > threshold.fails_above + late_ms, cause="" if found else cause)


def _of_times(threshold: Threshold, statistic: str, times_ms: Distribution, late_ms: float) -> _Figure:
    count, least = len(times_ms), threshold.samples_least
    limit_ms = threshold.fails_above + late_ms
    if statistic == "mean":
        mean = times_ms.mean
        return _Figure(mean, count, is_lost=(mean or 0.0) * count / max(count, least) > limit_ms)
    percent = 100.0 if statistic == "max" else percent_of(statistic)
    # Of `least` samples the percentile is over the limit when fewer than its rank are not.
    is_lost = least - times_ms.count_above(limit_ms) < math.ceil(percent / 100 * least - 1e-9)
    return _Figure(times_ms.percentile(percent), count, is_lost)


def _share(threshold: Threshold, chosen: Sequence[OperationMeasure]) -> _Figure:
    parts = [_counts(threshold, measure) for measure in chosen]
    count, whole = sum(part for part, _ in parts), sum(each for _, each in parts)
    left_out = ""
    if threshold.statistic == "failure_share":
        died = sum(measure.abandoned for measure in chosen)
        dead = [f"{counted(died, 'call')} of clients made to die"] if died else []
        left_out = " and ".join([*dead, *filter(None, [_not_sent(chosen)])])
    kind = "lag" if threshold.statistic in ("missed_share", "broken_share") else ""
    cause = "" if whole else _why_nothing(kind, threshold.operation or threshold.group, chosen)
    if not whole and threshold.statistic == "checks_share" and any(measure.calls for measure in chosen):
        names = sorted({name for measure in chosen for name in measure.checks})
        known = f": there are {', '.join(names)}" if names else ""
        cause = f"no answer was checked{f' for {quote(threshold.check)}' if threshold.check else ''}{known}"
    return _of_share(threshold, count, whole, left_out, cause)


def _of_share(threshold: Threshold, count: int, whole: int, left_out: str = "", cause: str = "") -> _Figure:
    if not whole:
        return _Figure(None, 0, cause=cause)
    size = max(whole, threshold.samples_least)
    padded = 1 - (whole - count) / size if threshold.least is not None else count / size
    return _Figure(count / whole, whole, threshold.grade(padded) is Grade.FAILED, left_out=left_out)


def _counts(threshold: Threshold, measure: OperationMeasure) -> tuple[int, int]:
    """Return how many there were, of how many."""
    if threshold.statistic == "failure_share":
        return measure.faults, measure.calls - measure.abandoned
    if threshold.statistic == "declined_share":
        return measure.declined if threshold.reason is None else measure.reasons[threshold.reason], measure.calls
    if threshold.statistic == "checks_share":
        held, made = measure.checks_held, measure.checks
        return (held.total(), made.total()) if threshold.check is None else (held[threshold.check], made[threshold.check])
    if threshold.statistic == "achieved_share":
        return measure.answered, measure.offered - measure.abandoned
    if threshold.statistic == "missed_share":
        return measure.missed, len(measure.lags_ms) + measure.missed
    return measure.broken, measure.ok if measure.keeps_stream else 0


def _judge_rate(threshold: Threshold, chosen: Sequence[OperationMeasure], seconds: float) -> ThresholdJudgement:
    answered = sum(measure.answered - measure.late_answered for measure in chosen)
    offered = sum(measure.offered for measure in chosen)
    if not offered or seconds <= 0:
        cause = _why_nothing("", threshold.operation or threshold.group, chosen)
        return ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, 0, cause)
    if offered < threshold.samples_least:
        needed = f"a rate needs {counted(threshold.samples_least, 'call')}"
        return ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, offered, needed)
    measured, state = answered / seconds, threshold.grade(answered / seconds)
    if state is Grade.FAILED and threshold.least is not None and offered / seconds < threshold.least:
        reason = f"the run itself asked for {offered / seconds:.1f}/s only"
        if offered + 3 * math.sqrt(offered) < threshold.least * seconds:
            return ThresholdJudgement(threshold, Grade.UNKNOWN, measured, offered, reason)
        reason += ", which in so short a time is chance"
        return ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, offered, reason)
    return ThresholdJudgement(threshold, state, measured, offered, left_out=_not_sent(chosen))


def _judge_count(threshold: Threshold, chosen: Sequence[OperationMeasure]) -> ThresholdJudgement:
    """Judge what must have been there at all: none of it is a failure, and says why."""
    is_received = threshold.statistic == "received"
    count = sum(len(measure.lags_ms) if is_received else measure.answered for measure in chosen)
    cause = "" if count else _why_nothing("lag" if is_received else "", threshold.operation or threshold.group, chosen)
    return ThresholdJudgement(threshold, threshold.grade(count), count, count, cause)


def _judge_recovery(threshold: Threshold, recoveries: Sequence[tuple[str, Recovery]]) -> ThresholdJudgement:
    """Judge the longest; what was not over when it was last looked at took longer than that, and maybe no longer."""
    if not recoveries:
        cause = "there was neither a spike nor a fault that met anything to recover from"
        return ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, 0, cause)
    took_s = {
        what: each.looked_s if each.seconds is None else each.seconds for what, each in recoveries if not each.unknown
    }
    late = [what for what, seconds in took_s.items() if threshold.grade(seconds) is Grade.FAILED]
    if late:
        worst = max(late, key=lambda what: took_s[what])
        unseen = any(what == worst and each.seconds is None for what, each in recoveries)
        reason = f"after {worst}" + (": not as before in the time that it was looked at" if unseen else "")
        return ThresholdJudgement(threshold, Grade.FAILED, took_s[worst], len(took_s), reason)
    for what, each in recoveries:
        if each.seconds is None:
            why = each.unknown or f"not as before in the {each.looked_s:.1f} s behind it"
            return ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, len(took_s), f"after {what}: {why}")
    worst_s = max(took_s.values())
    return ThresholdJudgement(threshold, threshold.grade(worst_s), worst_s, len(took_s))


def _not_sent(chosen: Sequence[OperationMeasure]) -> str:
    count = sum(measure.not_sent for measure in chosen)
    return f"{counted(count, 'call')} not sent" if count else ""


def _why_nothing(kind: str, operation: str | None, chosen: Sequence[OperationMeasure]) -> str:
    """Return the likely cause of why there is not one sample."""
    name = operation or "any operation"
    if kind == "lag" and not any(measure.keeps_stream for measure in chosen):
        return f"this profile opens no stream{f' by {operation}' if operation else ''}"
    if not sum(measure.offered for measure in chosen):
        return f"no call of {name} was made"
    if not sum(measure.calls for measure in chosen):
        return f"no call of {name} was sent: nobody was free to send it"
    if not sum(measure.answered for measure in chosen):
        errors = [error for measure in chosen for error, _ in measure.errors.most_common(1)]
        return f"no call of {name} was answered" + (f": {errors[0]}" if errors else "")
    return {
        "own": f"no call of {name} asked an outside service",
        "write": f"no call of {name} committed a write",
        "settled": f"no webhook followed a call of {name} within the run",
        "lag": "streams were open, and nothing came: is anything sent to these subscribers?",
    }.get(kind, "no call that could be measured")
