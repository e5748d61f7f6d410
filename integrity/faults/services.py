"""What faults on outside services share: which of them is meant."""

from integrity.errors import UsageError
from integrity.faults.conduct import EVERY
from integrity.faults.fault import Given, Name, word
from integrity.faults.scene import Scene

SERVICE = Name("which service, or all", EVERY)


def check_service(scene: Scene, given: Given) -> None:
    """Raise UsageError where the system has no such service."""
    name = word(given, "service")
    if name != EVERY and name not in scene.system.services:
        raise UsageError(
            f"service={name}: {scene.system.name} has no such service",
            hint=f"It has {', '.join(scene.system.services)}; {EVERY} means every one.",
        )
