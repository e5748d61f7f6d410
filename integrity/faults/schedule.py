"""When faults happen: `NAME[:key=value,...]@FROM-TO`, read into windows of a run.

FROM and TO are lengths of time as everywhere, "90", "90s", "1.5m" or "1h30m", or percent of the run, "20%". Windows do not
overlap unless that is asked for: of two things that go wrong at once nobody could say which did the harm. Two windows of
one fault never do.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NoReturn

from integrity.errors import UsageError, quote
from integrity.faults.catalogue import find_fault
from integrity.faults.fault import Fault, Given, Need
from integrity.faults.scene import Scene
from integrity.numbers import read_seconds
from integrity.proxy.server import address_of

_EXAMPLE = "Write it as lost_commit_ack:share=0.2@2-4 (seconds) or db_latency@20%-40% (of the run)."


@dataclass(frozen=True, slots=True)
class Window:
    """A fault and when it is in force.

    Args:
        text: as it was asked for.
        given: its arguments, every one with a value.
        from_s, to_s: from the start of the run.
    """

    text: str
    fault: Fault
    given: Given
    from_s: float
    to_s: float

    def overlaps(self, other: "Window") -> bool:
        """Return whether both are in force at some moment; one that begins where the other ends does not."""
        return self.from_s < other.to_s and other.from_s < self.to_s


def read_schedule(texts: Sequence[str], *, duration_s: float, may_overlap: bool = False) -> tuple[Window, ...]:
    """Return the windows by their beginning.

    Args:
        duration_s: of the run.
        may_overlap: windows of different faults may be in force together.

    Raises:
        UsageError: one cannot be read, has no such fault, argument or value, lies outside the run, or overlaps another.
    """
    windows = sorted((read_window(text, duration_s=duration_s) for text in texts), key=lambda window: window.from_s)
    for first, second in combinations(windows, 2):
        if not first.overlaps(second):
            continue
        if first.fault is second.fault:
            raise UsageError(
                f"--fault: {quote(first.text)} and {quote(second.text)} are one fault, twice at the same time",
                hint="Let one begin where the other ends.",
            )
        if not may_overlap:
            raise UsageError(
                f"--fault: {quote(first.text)} and {quote(second.text)} overlap, so nobody could say which did what",
                hint="Let one begin where the other ends, or say --faults-may-overlap.",
            )
    return tuple(windows)


def read_window(text: str, *, duration_s: float) -> Window:
    """Return the window that the text asks for, in a run of that length.

    Raises:
        UsageError: as read_schedule says.
    """
    said, mark, when = text.rpartition("@")
    name, _, words = (said if mark else text).partition(":")
    fault = find_fault(name)
    if not mark:
        _refuse(text, "it does not say when", _EXAMPLE)
    start, dash, end = when.partition("-")
    if not dash:
        _refuse(text, f"{quote(when)} is no window", _EXAMPLE)
    from_s, to_s = _read_moment(text, start, duration_s), _read_moment(text, end, duration_s)
    if not 0 <= from_s < to_s <= duration_s:
        _refuse(
            text,
            f"from {from_s:g} s to {to_s:g} s is no window in a run of {duration_s:g} s",
            "Let it begin before it ends, and end before the run does; percent fit a run of any length.",
        )
    return Window(text, fault, _read_arguments(text, fault, words), from_s, to_s)


def _read_moment(text: str, moment: str, duration_s: float) -> float:
    if share := re.fullmatch(r"(\d+(?:\.\d+)?)%", moment):
        return float(share[1]) / 100 * duration_s
    try:
        return read_seconds(moment)
    except ValueError:
        _refuse(text, f"{quote(moment)} is no moment", _EXAMPLE)


def _read_arguments(text: str, fault: Fault, words: str) -> dict[str, float | str]:
    given: dict[str, float | str] = {name: argument.default for name, argument in fault.arguments.items()}
    for pair in words.split(",") if words else ():
        name, mark, value = pair.partition("=")
        if name not in fault.arguments:
            known = ", ".join(fault.arguments) or "it has none"
            _refuse(text, f"{fault.name} has no argument {quote(name)}", f"Its arguments: {known}.")
        if not mark:
            _refuse(text, f"{name} has no value", f"Write {name}={fault.arguments[name].default}.")
        try:
            given[name] = fault.arguments[name].read(value)
        except ValueError as error:
            _refuse(text, f"{name}: {error}", f"{name}: {fault.arguments[name].text}.")
    return given


def _refuse(text: str, reason: str, hint: str) -> NoReturn:
    raise UsageError(f"--fault {quote(text)}: {reason}", hint=hint)


NOT_OVER_HTTP = {
    Need.PROXY: "with --target the server has the connections",
    Need.SESSIONS: "with --target the server has the sessions",
    Need.SERVICES: "with --target the server has the outside services",
    Need.WEBHOOKS: "with --target the server has the outside services",
}
"""What a run whose calls go to a server has not, and why."""


def find_servers_own(window: Window) -> str:
    """Return why a fault cannot be played where calls go to a server; empty: it can."""
    return next((NOT_OVER_HTTP[need] for need in NOT_OVER_HTTP if need in window.fault.needs), "")


def check_schedule(windows: Sequence[Window], scene: Scene) -> None:
    """Raise where a fault cannot be done to this run; nothing is done yet.

    Raises:
        UsageError: with the fault, and what it lacks.
    """
    for window, need in find_unmet(windows, scene):
        why = f": {NOT_OVER_HTTP[need]}" if scene.is_over_http and need in NOT_OVER_HTTP else ""
        raise UsageError(
            f"--fault {quote(window.text)}: {window.fault.name} needs {need.value}{why}", hint=_instead(scene, need)
        )
    for window in windows:
        window.fault.check(scene, window.given)


def find_unmet(windows: Sequence[Window], scene: Scene) -> Iterator[tuple[Window, Need]]:
    """Yield what faults cannot do without and this run lacks.

    Raises:
        UsageError: a server that no proxy can stand before.
    """
    for window in windows:
        for need in sorted(window.fault.needs, key=lambda need: need.value):
            if not _has(scene, need):
                yield window, need


def _has(scene: Scene, need: Need) -> bool:
    engine = scene.target.engine
    if scene.is_over_http and need in NOT_OVER_HTTP:
        return False
    if need is Need.PROXY and engine.speaks_postgresql:
        address_of(scene.target)  # raises with the reason
    has = {
        Need.POSTGRESQL: engine.speaks_postgresql,
        Need.PROXY: engine.speaks_postgresql,
        Need.EMBEDDED: scene.server is not None,
        Need.SERVICES: bool(scene.system.services),
        Need.WEBHOOKS: bool(scene.system.services),
        Need.STREAMS: scene.has_subscribers,
        Need.SESSIONS: True,
    }
    return has[need]


def _instead(scene: Scene, need: Need) -> str:
    """Return what to do where the need is not met."""
    if scene.is_over_http and need in NOT_OVER_HTTP:
        return "Leave it out; or take one of the database's, such as backend_terminated, or client_crash."
    engine = scene.target.engine
    why = "" if engine.has_server else f"{engine.title} is a file in this process, with nothing on the wire: "
    instead = f"{why}use client_crash, or run on PostgreSQL."
    return {
        Need.POSTGRESQL: instead,
        Need.PROXY: instead,
        Need.EMBEDDED: "Leave --database out, or use backend_terminated or connection_reset, which any server bears.",
        Need.STREAMS: "Use a profile whose clients keep streams open.",
    }.get(need, "Leave it out.")


def needs_proxy(windows: Sequence[Window]) -> bool:
    """Return whether a fault of these acts on the wire."""
    return any(Need.PROXY in window.fault.needs for window in windows)
