"""What went wrong on purpose in a run, as text: each window with what it did, and what became of unknown outcomes."""

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

_HEADERS = ["", "calls", "calls/s", "ok", "declined", "failed", "unknown", "p50 ms", "p95 ms"]
_COLUMNS = ["calls", "calls_per_s", "ok", "declined", "failed", "unknown", "p50_ms", "p95_ms"]


def render_fault(effect: Mapping[str, Any]) -> str:
    """Return the block of one window: what it was, what it did, and the calls before, during and after it."""
    did = ", ".join(f"{count} {what}" for what, count in effect["did"].items()) or "it met nothing to act on"
    rows = [[name, *(_show(phase[column]) for column in _COLUMNS)] for name, phase in effect["phases"].items()]
    table = tabulate(rows, _HEADERS, disable_numparse=True, colalign=("left", *("right",) * len(_COLUMNS)))
    return "\n".join(
        (
            f"fault {effect['fault']}{_arguments(effect)}, {effect['from_s']:.1f} s to {effect['to_s']:.1f} s: {did}; "
            f"{_recovery(effect)}",
            table,
            f"asks: {effect['question']}",
            f"answered by: {', '.join(effect['invariants'])}",
        )
    )


def _arguments(effect: Mapping[str, Any]) -> str:
    given = [
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in effect["arguments"].items()
    ]
    return f" ({', '.join(given)})" if given else ""


def _recovery(effect: Mapping[str, Any]) -> str:
    if effect["recovery_s"] is not None:
        return f"all as before {effect['recovery_s']:.2f} s after it"
    if not effect["phases"]["before"]["calls"]:
        return "nothing came before it to compare with"
    return "not yet as before when it was last looked at"


def render_unknown_outcomes(settlement: Mapping[str, Any]) -> str:
    """Return a sentence on what became of the calls of unknown outcome; empty when there was none."""
    if not settlement["unknown"]:
        return ""
    parts = [f"{settlement['committed']} turned out committed", f"{settlement['absent']} not"]
    if settlement["untraceable"]:
        parts.append(f"{settlement['untraceable']} of operations that leave no row to tell by")
    if settlement["twice"] is None:
        twice = f"whether any took effect twice is not known ({settlement['reason']})"
    else:
        twice = f"{settlement['twice']} took effect TWICE" if settlement["twice"] else "none twice"
    said = f"{settlement['unknown']} calls of unknown outcome: {', '.join(parts)}; {twice}."
    if settlement["open_sessions"]:
        said += f" {settlement['open_sessions']} sessions of the run were still open then, and could yet commit."
    return said


def _show(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) and value < 100 else f"{value:.0f}"
