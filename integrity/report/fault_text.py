"""Faults as text: which there are; what went wrong on purpose in a run, each window with what it did; and what became of
the calls of unknown outcome.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from integrity.faults.fault import Argument, ChoiceArgument, Fault, Number
from integrity.numbers import counted
from integrity.report.figures import explain_none, show_number, show_statistic
from integrity.report.layout import fold, lay_command, lay_table
from integrity.typed import typed

if TYPE_CHECKING:  # `integrity faults` has no run to read
    from integrity.runs.effects import EffectPhase, FaultEffect
    from integrity.runs.settlement import Settlement

_HEADERS = ["", "calls", "calls/s", "ok", "declined", "unavailable", "failed", "unknown", "p50 ms", "p95 ms"]
_SETTLED = ["settled", "in ms"]
"""Calls whose first webhook was acknowledged, and after how long on average: of systems that are sent some."""


def render_fault(effect: "FaultEffect") -> str:
    """Return the block of one window: what it was, what it did, and the calls before, during and after it."""
    did = ", ".join(_did(what, count) for what, count in effect.did.items())
    phases = {"before": effect.phases.before, "during": effect.phases.during, "after": effect.phases.after}
    are_settled = any(phase.settled for phase in phases.values())
    headers = [*_HEADERS, *(_SETTLED if are_settled else ())]
    rows = [[name, *_columns(phase)[: len(headers) - 1]] for name, phase in phases.items()]
    table = lay_table(rows, headers, align=("left", *("right",) * (len(headers) - 1)))
    notes = (
        explain_none(("p50", "p95"), [phase.ok + phase.declined for phase in phases.values()]),
        explain_none(("mean",), [phase.settled for phase in phases.values()]),
    )
    return "\n".join(
        (
            fold(
                f"fault {effect.fault}{_arguments(effect)}, {effect.from_s:.1f} s to {effect.to_s:.1f} s: "
                f"{did}{'; ' if did else ''}{_recovery(effect)}"
            ),
            table,
            *map(fold, filter(None, notes)),
            fold(f"asks: {effect.question}"),
            fold(f"answered by: {', '.join(effect.invariants)}"),
        )
    )


_ONE = {"processes": "process"}
_ONE |= {
    f"{noun}s": noun
    for noun in ("backend", "commit", "connection", "file", "piece", "request", "server", "statement", "stream", "webhook")
}


def _did(what: str, count: int) -> str:
    """Return e.g. "4 connections reset", "1 server killed"; what services are called is left alone."""
    if count == 1 and " answered with " not in what:
        first, *rest = what.split(" ")
        second = [_ONE.get(each, each) for each in rest[:1]] if first not in _ONE else rest[:1]
        what = " ".join([_ONE.get(first, first), *second, *rest[1:]])
    return f"{count} {what}"


def _arguments(effect: "FaultEffect") -> str:
    given = [
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in effect.arguments.items()
    ]
    return f" ({', '.join(given)})" if given else ""


def _recovery(effect: "FaultEffect") -> str:
    if effect.recovery_s is not None:
        return f"all as before {effect.recovery_s:.2f} s after it"
    if effect.recovery_unknown:
        return effect.recovery_unknown
    return f"not yet as before in the {effect.looked_s:.1f} s behind it"


def render_unknown_outcomes(settlement: "Settlement") -> str:
    """Return a sentence on what became of the calls of unknown outcome; empty when there was none."""
    if not settlement.unknown:
        return ""
    parts = [f"{settlement.committed} turned out committed", f"{settlement.absent} not"]
    if settlement.untraceable:
        parts.append(f"{settlement.untraceable} of operations that leave no row to tell by")
    if settlement.twice is None:
        twice = f"whether any took effect twice is not known ({settlement.reason})"
    else:
        twice = f"{settlement.twice} took effect TWICE" if settlement.twice else "none twice"
    said = f"{counted(settlement.unknown, 'call')} of unknown outcome: {', '.join(parts)}; {twice}."
    if settlement.open_sessions:
        sessions = counted(settlement.open_sessions, "session of the run was", "sessions of the run were")
        said += f" {sessions} still open then, and could yet commit."
    return said


def _columns(phase: "EffectPhase") -> list[str]:
    counts = (phase.ok, phase.declined, phase.unavailable, phase.failed, phase.unknown)
    answered = phase.ok + phase.declined
    latencies = show_statistic("p50", phase.p50_ms, answered), show_statistic("p95", phase.p95_ms, answered)
    settled = show_number(phase.settled), show_statistic("mean", phase.settled_mean_ms, phase.settled)
    return [*map(show_number, (phase.calls, phase.calls_per_s, *counts)), *latencies, *settled]


def render_fault_list(faults: Sequence[Fault]) -> str:
    """Return the names and titles of faults."""
    longest = max(len(fault.name) for fault in faults)
    lines = [fold(f"{fault.name:<{longest}}  {fault.title}", hanging=" " * (longest + 2)) for fault in faults]
    lines += ["", f"All about one: {typed('faults NAME')}. In a run:", typed("run hammer --fault NAME@20%-40%")]
    return "\n".join(lines)


def render_one_fault(fault: Fault) -> str:
    """Return all about a fault: what it asks, what answers it, what it needs and what may be said."""
    lines = [f"{fault.name}: {fault.title}", f"asks: {fault.question}", f"answered by: {', '.join(fault.invariants)}"]
    if fault.needs:
        lines.append(f"needs: {', '.join(sorted(need.value for need in fault.needs))}")
    rows = [[name, _show_default(argument), argument.text, _bounds(argument)] for name, argument in fault.arguments.items()]
    if rows:
        lines += ["", lay_table(rows, ["argument", "default", "meaning", "values"])]
    said = [f"{name}={_show_default(argument)}" for name, argument in fault.arguments.items() if _show_default(argument)]
    example = f":{said[0]}" if said else ""
    command = lay_command(typed(f"run hammer --fault {fault.name}{example}@20%-40%"))
    return "\n".join([*map(fold, lines), "", command])


def describe_fault(fault: Fault) -> dict[str, Any]:
    """Return a fault for a program to read."""
    return {
        "name": fault.name,
        "title": fault.title,
        "question": fault.question,
        "invariants": list(fault.invariants),
        "needs": sorted(need.value for need in fault.needs),
        "arguments": {
            name: {"default": argument.default, "meaning": argument.text, "values": _bounds(argument)}
            for name, argument in fault.arguments.items()
        },
    }


def _show_default(argument: Argument) -> str:
    return f"{argument.default:g}" if isinstance(argument, Number) else argument.default


def _bounds(argument: Argument) -> str:
    if isinstance(argument, Number):
        return f"{argument.least:g} to {argument.most:g}"
    return ", ".join(argument.words) if isinstance(argument, ChoiceArgument) else "a name"
