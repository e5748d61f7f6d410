"""The worlds of all systems, by name: what the tests of invariants and queries are laid out on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from integrity.registry import SYSTEMS
from integrity.sql.file import SqlFile
from integrity.systems.system import System
from tests.database.ghostpass import violations as ghostpass_violations
from tests.database.ghostpass import world as ghostpass_world
from tests.database.inbox import violations as inbox_violations
from tests.database.inbox import world as inbox_world
from tests.database.instainstru import violations as instainstru_violations
from tests.database.instainstru import world as instainstru_world
from tests.database.safebox import violations as safebox_violations
from tests.database.safebox import world as safebox_world
from tests.database.streamvote import violations as streamvote_violations
from tests.database.streamvote import world as streamvote_world
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
