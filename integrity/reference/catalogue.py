"""The systems that exist, by name. Each is imported when it is asked for: most commands need a name or two of them."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from integrity.errors import UsageError, quote

if TYPE_CHECKING:
    from integrity.systems.system import Bug, System


class _Systems(Mapping[str, "System"]):
    def __init__(self, *names: str) -> None:
        self._names = names

    def __getitem__(self, name: str) -> "System":
        if name not in self._names:
            raise KeyError(name)
        system: System = getattr(import_module(f"integrity.reference.{name}.system"), name.upper())
        return system

    def __contains__(self, name: object) -> bool:  # a mapping's own asks for the value
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


SYSTEMS: Mapping[str, "System"] = _Systems("ghostpass", "safebox", "streamvote", "instainstru", "inbox")


def find_system(name: str) -> "System":
    """Return the system of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in SYSTEMS:
        raise UsageError(f"unknown system {quote(name)}", hint=f"The systems are: {', '.join(SYSTEMS)}.")
    return SYSTEMS[name]


def find_bug(system: "System", name: str) -> "Bug":
    """Return the system's bug of that name.

    Raises:
        UsageError: it has none of that name.
    """
    if name not in system.bugs:
        known = ", ".join(sorted(system.bugs)) or "none"
        raise UsageError(f"system {system.name} has no bug {quote(name)}", hint=f"Its bugs are: {known}.")
    return system.bugs[name]
