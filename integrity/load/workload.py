"""A workload: what the clients of a run do, whatever database they do it to."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from integrity.domain import KeyOf, NewKey
from integrity.errors import UsageError, quote
from integrity.load.profile import OpenProfile, Profile
from integrity.operation import Operation
from integrity.runs.result import NotRun
from integrity.suggestion import suggest
from integrity.systems.system import Bug, System


@dataclass(frozen=True)
class Workload:
    """A system's operations, how often and how they are called, and what is drawn.

    Args:
        bug: planted; None: the sound system.
        seed: of every random choice.
    """

    system: System
    profile: Profile
    bug: Bug | None
    seed: int

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """The system's, with the bug's in place of the sound ones."""
        return self.system.operations_with(self.bug)

    @property
    def pool_size(self) -> int | None:
        """The connections that clients share; None: each has its own, so that all are busy says nothing."""
        return self.profile.connection_count if isinstance(self.profile, OpenProfile) else None

    @property
    def unusable(self) -> tuple[NotRun, ...]:
        """The system's operations that nobody can call; none where the profile is a mix of some, which are then all."""
        if not self.system.operations.keys() <= set(self.profile.operations):
            return ()
        reasons = {name: fault.partition("\n")[0] for name, fault in self.system.unusable.items()}
        return tuple(NotRun(operation=name, reason=reason) for name, reason in reasons.items())

    def check_pools(self) -> None:
        """Make sure that arguments are drawn from pools that the system has.

        Raises:
            UsageError: one is not.
        """
        pools = self.system.pools
        for name in self.profile.operations:
            for argument, domain in self.system.operations[name].arguments.items():
                if isinstance(domain, KeyOf) and not isinstance(domain, NewKey) and domain.pool not in pools:
                    known = f"Its pools are: {', '.join(pools) or 'none'}."
                    declare = f'Declare it: System(pools={{"{domain.pool}": "select ..."}}).'
                    raise UsageError(
                        f"operation {name} draws {argument} from the pool {quote(domain.pool)}, which system "
                        f"{self.system.name} does not declare",
                        hint=suggest(domain.pool, pools, always=f"{known} {declare}"),
                    )

    def pools_of(self, operation: str) -> set[str]:
        """Return the pools that an operation's calls draw from."""
        domains = self.system.operations[operation].arguments.values()
        return {domain.pool for domain in domains if isinstance(domain, KeyOf) and not isinstance(domain, NewKey)}

    @property
    def needed_keys(self) -> dict[str, int]:
        """How many keys of each pool there must be: one to draw, and each that a stream is pinned to."""
        needed: dict[str, int] = {}
        pins: list[tuple[str, Mapping[str, int | str]]] = [(operation, {}) for operation in self.profile.operations]
        if isinstance(self.profile, OpenProfile):
            needed = dict.fromkeys(self.profile.own, 1)
            pins += [(operation, stream.pin) for stream in self.profile.streams for operation in stream.operations]
        pins += [(each.operation, each.pin) for each in self.profile.subscribers if each.pin]
        for operation, pin in pins:
            for argument, domain in self.system.operations[operation].arguments.items():
                if isinstance(domain, KeyOf) and not isinstance(domain, NewKey):
                    which = pin.get(argument, 1)
                    pool, number = (which, 1) if isinstance(which, str) else (domain.pool, which)
                    needed[pool] = max(needed.get(pool, 1), number)
        return needed
