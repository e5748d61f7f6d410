"""What a profile leaves to whoever runs it: variables of the environment that say its numbers, and keys that are pinned."""

from collections.abc import Iterable, Mapping

from integrity.load.bounds import BoundedSettings
from integrity.systems.made_stage import pools_of
from integrity.systems.system import System


class FromEnvironment(BoundedSettings):
    """Which variables of the environment say what, where no option does; a plan names its own for each of its scenarios.

    Args:
        users: how many, or several with commas between, as --users takes them.
        hold: as --hold takes it.
        duration: as --duration takes it.
        keys: pool -> the variables that name its keys, one each, as --key takes them.
    """

    users: str | None = None
    hold: str | None = None
    duration: str | None = None
    keys: Mapping[str, tuple[str, ...]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        named = filter(None, (self.users, self.hold, self.duration))
        return (*named, *(each for variables in self.keys.values() for each in variables))


def pinned_pools(pins: Iterable[tuple[str, Mapping[str, int | str]]], system: System) -> set[str]:
    """Return the pools that arguments are pinned to: operation and argument -> which key."""
    found: set[str] = set()
    for operation, pin in pins:
        for argument, which in pin.items():
            domain = system.operations[operation].arguments[argument]
            found |= {which} if isinstance(which, str) else set(pools_of([[domain]]))
    return found
