"""A device is switched off: one door's scanner, one terminal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.domain import Key, KeyOf
from integrity.errors import UsageError
from integrity.faults.fault import KEPT, MONEY, Fault, Given, Name, Number, number, word
from integrity.faults.scene import Scene


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Hang up what it is in the middle of, and let nothing more come from it."""
    argument, key = find_device(scene, given)
    offline = {**scene.conduct.offline, argument: frozenset({key})}
    with scene.conduct.changed(offline=offline):
        scene.hang_up()
        yield


def find_device(scene: Scene, given: Given) -> tuple[str, Key]:
    """Return the argument that names devices, and the key of the one that is meant.

    Raises:
        UsageError: no argument of that name, or not so many devices.
    """
    name, place = word(given, "argument"), int(number(given, "number"))
    pools = {
        argument: domain.pool
        for operation in scene.operations
        for argument, domain in scene.system.operations[operation].arguments.items()
        if isinstance(domain, KeyOf) and scene.keys.get(domain.pool)
    }
    if name and name not in pools:
        raise UsageError(
            f"fault device_offline: argument={name}: {scene.system.name} has no such argument",
            hint=f"Name one that says where a call comes from: {', '.join(pools)}.",
        )
    if not pools:
        raise UsageError(
            "fault device_offline: no call of this profile says where it comes from",
            hint="Use another profile, or client_crash.",
        )
    name = name or min(pools, key=lambda argument: len(scene.keys[pools[argument]]))
    keys = scene.keys[pools[name]]
    if not 0 < abs(place) <= len(keys):
        raise UsageError(
            f"fault device_offline: number={place}: there are {len(keys)} {pools[name]}",
            hint=f"Give 1 to {len(keys)}, or -1 for the last.",
        )
    return name, keys[place - 1 if place > 0 else place]


def check(scene: Scene, given: Given) -> None:
    """Raise UsageError where there is no such device."""
    find_device(scene, given)


FAULT = Fault(
    name="device_offline",
    title="one device, such as a scanner or a terminal, is switched off in the middle of what it does",
    question="Is what the device was in the middle of whole or not at all, and does the rest go on?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    arguments={
        "argument": Name("the argument that names it, e.g. terminal_id; none: the one with the fewest", ""),
        "number": Number("the how-manieth of them, from 1; -1: the last, which is hot", -1.0, -1_000_000.0, 1_000_000.0),
    },
    check=check,
)
