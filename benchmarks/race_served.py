"""Races of reference systems over HTTP, beside the same races in process.

    python -m benchmarks.race_served [--rounds 3]

A sound pair of each system is searched to two preemptions on its likeliest arguments, once by stepping the operations here
and once by requests to the system's own server through the proxy. Rounds alternate; printed are medians of schedules a
second, and of the ratios of each round.
"""

import argparse
import math
import statistics
import tempfile
from pathlib import Path

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.events import listen
from integrity.jobs.findings import invariants_of, system_on
from integrity.project import Project, Settings
from integrity.race.matrix import race_groups
from integrity.race.processes import OpenSearchers, open_searchers
from integrity.race.search.settings import RaceSettings, RaceSubject
from integrity.registry import SYSTEMS
from integrity.scenarios.served import open_served_searchers

PAIRS = {
    "ghostpass": "sell",
    "safebox": "pay_invoice",
    "streamvote": "vote",
    "instainstru": "mark_read",
    "inbox": "send_whatsapp",
}
SETTINGS = RaceSettings(seconds=math.inf, choices_max=1, schedules=60)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), Settings())
        server = EmbeddedServer(Path(folder) / "postgres", dies_with_parent=True)
        target = server.start()
        try:
            for name, operation in PAIRS.items():
                subject = subject_of(target, project, name)
                pairs = [
                    (
                        rate(target, subject, operation, open_searchers),
                        rate(target, subject, operation, open_served_searchers),
                    )
                    for _ in range(rounds)
                ]
                here, served = (statistics.median(each) for each in zip(*pairs, strict=True))
                ratio = statistics.median(there / beside for beside, there in pairs)
                print(f"{name} {operation}: {served:.0f} schedules a second over HTTP, {here:.0f} in process, {ratio:.2f}")
        finally:
            server.stop()


def subject_of(target: Target, project: Project, name: str) -> RaceSubject:
    system = SYSTEMS[name]
    files = invariants_of(project, system)
    return RaceSubject(system_on(target, system, files), files, SETTINGS)


def rate(target: Target, subject: RaceSubject, operation: str, opening: OpenSearchers) -> float:
    """Return schedules a second of one search, without what makes its database and starts its server."""
    (group,) = listen(race_groups(target, subject, [(operation, operation)], opening=opening))
    return sum(each.coverage.played for each in group.searched) / sum(each.seconds for each in group.searched)


if __name__ == "__main__":
    main()
