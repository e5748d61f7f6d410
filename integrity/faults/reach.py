"""Reach: which operations need what a fault breaks. The others must go on as if nothing had been."""

from collections.abc import Collection
from dataclasses import dataclass

from integrity.faults.conduct import EVERY
from integrity.faults.fault import Need, word
from integrity.faults.schedule import Window

_DATABASE = {Need.POSTGRESQL, Need.PROXY, Need.EMBEDDED}
"""What acts on the database, which every operation needs."""

_SERVICES = {Need.SERVICES, Need.WEBHOOKS}


@dataclass(frozen=True, slots=True)
class Reliance:
    """What an operation relies on, beside the database.

    Args:
        services: that its calls ask, or that send them.
        arguments: their names: one may be the device that a call comes from.
        keeps_stream: whether it opens a stream, which can break.
    """

    services: Collection[str] = ()
    arguments: Collection[str] = ()
    keeps_stream: bool = False


def needs_broken(window: Window, reliance: Reliance) -> bool:
    """Return whether an operation needs what is broken in the window; where nobody can say, it does."""
    fault, given = window.fault, window.given
    if fault.needs & _DATABASE:
        return True
    if fault.needs & _SERVICES:
        service = word(given, "service") if "service" in given else EVERY
        return bool(reliance.services) if service == EVERY else service in reliance.services
    if Need.STREAMS in fault.needs:
        return reliance.keeps_stream
    if "argument" in given:
        return word(given, "argument") in ("", *reliance.arguments)
    return False
