"""What profiles are declared for a system, as plain settings: its own or those of any system, and the shapes all share."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from integrity.systems.system import System

MAIN = "main"
"""The key of a system's profiles.toml that names its main profile."""

_SHARED = Path(__file__).parent / "shared_profiles.toml"
_DEFAULT = Path(__file__).parent / "default_profiles.toml"
_CHECKS = {
    "statistic": "checks_share",
    "least": 0.99,
    "source": "a default of ours, nobody's plan: 99% of the checks of answers hold",
}


def declared_profiles(system: System) -> dict[str, dict[str, Any]]:
    """Return what is declared for the system: its own profiles, those of any system that it has none of the name of, and
    those that every system has over its main one."""
    of_any = _of_any(system)
    own = _read(system.profiles) if system.profiles else of_any
    main = own.pop(MAIN, None)
    usual = of_any.pop(MAIN, None)
    own |= {name: profile for name, profile in of_any.items() if name not in own and name != usual}
    if main is None:
        return own
    shared = {name: {**settings, "extends": main} for name, settings in _read(_SHARED).items() if name != main}
    if not system.services:  # nobody sends it webhooks that could come twice
        faults = shared["chaos"]["faults"]
        shared["chaos"]["faults"] = [each for each in faults if not each.startswith(("webhook_", "service_"))]
    return {name: {**shared.get(name, {}), **own.get(name, {})} for name in dict.fromkeys([*own, *shared])}


def _of_any(system: System) -> dict[str, Any]:
    """Return the profiles of a system that declares none: each of its operations, equally often."""
    profiles = _read(_DEFAULT)
    called = {name: each for name, each in system.operations.items() if each.weight and not each.after}
    for name, profile in profiles.items():
        if name == MAIN:
            continue
        if any(each.has_checks for each in system.operations.values()):
            profile["thresholds"] = [*profile["thresholds"], _CHECKS]
        if profile["model"] == "closed":
            profile["weights"] = {name: each.weight for name, each in called.items()}
        else:
            per_minute = profile.pop("per_minute")
            profile["streams"] = [
                {"name": name, "operations": [name], "per_minute": per_minute * each.weight}
                for name, each in called.items()
            ]
    return profiles


@cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8-sig") if file.is_file() else ""


def _read(file: Path) -> dict[str, Any]:
    return tomllib.loads(_text(file))
