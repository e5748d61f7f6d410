"""Faults of outside parties that are servers of their own: the same as of a run, from when the server begins.

service_timeout:service=mint              as long as it serves
service_error:service=mint,code=429@10-20 from its tenth second to its twentieth
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from integrity.errors import UsageError, quote
from integrity.faults.conduct import EVERY, Conduct
from integrity.faults.fault import Need, word
from integrity.faults.scene import Scene
from integrity.faults.schedule import Window, read_schedule
from integrity.numbers import DURATION_S_MOST
from integrity.serve.dependencies import Party
from integrity.systems.system import System

OF_SERVICES = frozenset({Need.SERVICES, Need.WEBHOOKS})


@dataclass(frozen=True, slots=True)
class _Behaviour:
    """What of a scene a fault of services acts on: it needs nothing else, by its own `needs`."""

    system: System
    conduct: Conduct


def read_faults(texts: Sequence[str], parties: Sequence[Party]) -> tuple[Window, ...]:
    """Return the windows that are asked for.

    Raises:
        UsageError: one cannot be read, is of something else than services, or of a service that nobody has.
    """
    said = [text if "@" in text else f"{text}@0-{DURATION_S_MOST:.0f}" for text in texts]
    windows = read_schedule(said, duration_s=DURATION_S_MOST, may_overlap=True)
    for window in windows:
        if "%" in window.text.rpartition("@")[2]:
            raise UsageError(
                f"--fault {quote(window.text)}: a server has no length of which that could be percent",
                hint="Say seconds, as in @10-20; or nothing: then it is in force as long as it serves.",
            )
        if not window.fault.needs or not window.fault.needs <= OF_SERVICES:
            raise UsageError(
                f"--fault {quote(window.text)}: {window.fault.name} is no fault of outside services",
                hint="Those are service_latency, service_timeout, service_error and the webhook_... ones.",
            )
        if not of_window(window, parties):
            known = ", ".join(sorted({each for party in parties for each in party.services}))
            raise UsageError(
                f"--fault {quote(window.text)}: none of these systems has such a service",
                hint=f"They have {known}; {EVERY} means every one.",
            )
    return windows


def of_window(window: Window, parties: Sequence[Party]) -> list[Party]:
    """Return the parties that have what a fault is about."""
    if "service" not in window.given:
        return list(parties)
    name = word(window.given, "service")
    return [party for party in parties if name == EVERY or name in party.services]


async def play(window: Window, parties: Sequence[Party]) -> None:
    """Let a fault be in force in its window, which counts from now; or until this is cancelled."""
    await asyncio.sleep(window.from_s)
    async with asyncio.TaskGroup() as group:
        for party in of_window(window, parties):
            group.create_task(_inject(window, party))


async def _inject(window: Window, party: Party) -> None:
    scene = cast(Scene, _Behaviour(party.system, party.conduct))
    async with window.fault.inject(scene, window.given):
        await asyncio.sleep(window.to_s - window.from_s)
