"""The worlds of all systems, by name: what the tests of invariants and queries are laid out on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from integrity.sqlfile import SqlFile
from integrity.systems.catalogue import SYSTEMS
from integrity.systems.system import System
from tests.database import (
    ghostpass_violations,
    ghostpass_world,
    inbox_violations,
    inbox_world,
    instainstru_violations,
    instainstru_world,
    safebox_violations,
    safebox_world,
    streamvote_violations,
    streamvote_world,
)
from tests.database.worlds import Violation, World


@dataclass(frozen=True)
class SystemWorld:
    """A world written by hand, in which every invariant of its system holds, and what breaks each.

    Args:
        now: when it is audited.
        invariants, queries: the system's files, by name.
        violations: by the invariant's name.
    """

    system: System
    rows: World
    now: datetime
    invariants: Mapping[str, SqlFile]
    queries: Mapping[str, SqlFile]
    violations: Mapping[str, Violation]


SYSTEM_WORLDS: Mapping[str, SystemWorld] = {
    name: SystemWorld(SYSTEMS[name], world.WORLD, world.NOW, world.FILES, world.QUERIES, violations.VIOLATIONS)
    for name, world, violations in (
        ("ghostpass", ghostpass_world, ghostpass_violations),
        ("safebox", safebox_world, safebox_violations),
        ("streamvote", streamvote_world, streamvote_violations),
        ("instainstru", instainstru_world, instainstru_violations),
        ("inbox", inbox_world, inbox_violations),
    )
}
