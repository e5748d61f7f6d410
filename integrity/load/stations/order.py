"""What a station is told before its first call, as a message has it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integrity.domain import World
from integrity.engines.values import from_json, json_of
from integrity.load.profile import ClosedProfile, read_profile
from integrity.load.workload import Workload

CLIENTS_OF_ONE = 1_000_000
"""So many client numbers are a station's own: its clients have the first half, those who need another one the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationOrder:
    """What it is told.

    Args:
        number: of the station, from 0.
        operations: by name, what it may call.
        over: where the server is, as the run was told.
        ahead_us: so far its clock is ahead of the run's.
    """

    number: int
    system_name: str
    operations: tuple[str, ...]
    over: str
    profile: ClosedProfile
    seed: int
    world: World
    ahead_us: int

    @classmethod
    def of(cls, workload: Workload, world: World, *, number: int, over: str, ahead_us: int) -> "StationOrder":
        """Return what a station of a run is told."""
        assert isinstance(workload.profile, ClosedProfile)
        return cls(
            number=number,
            system_name=workload.system.name,
            operations=tuple(workload.system.operations),
            over=over,
            profile=workload.profile,
            seed=workload.seed,
            world=world,
            ahead_us=ahead_us,
        )

    @property
    def first_client(self) -> int:
        """The number of its first client; those of the run itself, e.g. who opens streams, are below all of them."""
        return (self.number + 1) * CLIENTS_OF_ONE

    def message(self) -> dict[str, Any]:
        """Return it as a message."""
        world = self.world
        return {
            "number": self.number,
            "system": self.system_name,
            "operations": self.operations,
            "over": self.over,
            "profile": self.profile.model_dump(mode="json"),
            "seed": self.seed,
            "keys": {pool: [json_of(key) for key in keys] for pool, keys in world.keys.items()},
            "hot": [world.hot_share, world.hot_count],
            "ahead_us": self.ahead_us,
        }

    @classmethod
    def read(cls, message: Mapping[str, Any]) -> "StationOrder":
        """Return what a message says. Raises what read_profile does."""
        profile = read_profile(message["profile"], "the order of this station")
        assert isinstance(profile, ClosedProfile)
        keys = {pool: [key_of(each) for each in keys] for pool, keys in message["keys"].items()}
        hot_share, hot_count = message["hot"]
        return cls(
            number=message["number"],
            system_name=message["system"],
            operations=tuple(message["operations"]),
            over=message["over"],
            profile=profile,
            seed=message["seed"],
            world=World(keys, hot_share=hot_share, hot_count=hot_count),
            ahead_us=message["ahead_us"],
        )


def key_of(value: Any) -> Any:
    """Return a key that a message tells: of several columns a tuple."""
    key = from_json(value)
    return tuple(key) if isinstance(key, list) else key
