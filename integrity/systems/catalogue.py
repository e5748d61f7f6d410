"""The systems that exist, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from integrity.errors import UsageError, quote
from integrity.systems.ghostpass.system import GHOSTPASS
from integrity.systems.inbox.system import INBOX
from integrity.systems.instainstru.system import INSTAINSTRU
from integrity.systems.safebox.system import SAFEBOX
from integrity.systems.streamvote.system import STREAMVOTE
from integrity.systems.system import Bug, System

SYSTEMS: Mapping[str, System] = MappingProxyType(
    {system.name: system for system in (GHOSTPASS, SAFEBOX, STREAMVOTE, INSTAINSTRU, INBOX)}
)


def find_system(name: str) -> System:
    """Return the system of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in SYSTEMS:
        raise UsageError(f"unknown system {quote(name)}", hint=f"The systems are: {', '.join(SYSTEMS)}.")
    return SYSTEMS[name]


def find_bug(system: System, name: str) -> Bug:
    """Return the system's bug of that name.

    Raises:
        UsageError: it has none of that name.
    """
    if name not in system.bugs:
        known = ", ".join(sorted(system.bugs)) or "none"
        raise UsageError(f"system {system.name} has no bug {quote(name)}", hint=f"Its bugs are: {known}.")
    return system.bugs[name]
