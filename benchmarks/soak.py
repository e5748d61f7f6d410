"""Whether the tool itself stays small: a soak of ghostpass at a steady rate, and what its memory did meanwhile.

    python -m benchmarks.soak [--rate 1000] [--minutes 10]

Printed are the slopes that `integrity run soak` reports, with their 95% intervals, and the memory of the process at its
start and end. It settles within minutes: what is counted has buckets of a fixed number, and a run remembers 20,000 keys
a table of those that it makes.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from integrity.database.namespace import guard
from integrity.engines.embedded.server import EmbeddedServer
from integrity.events import Event
from integrity.load.profile import OpenProfile, load_profile, scale
from integrity.load.request import RunAdvanced, RunRequest
from integrity.load.run import run
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.report.run_text import render_run
from integrity.seeds.load import Mode, seed_system

# What is measured is the tool; the server is to keep up with it on a disk of any speed.
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "256MB"}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rate", type=float, default=1000.0, help="calls per second that are offered")
    arguments.add_argument("--minutes", type=float, default=10.0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "postgres", settings=SETTINGS, dies_with_parent=True)
        server.start()
        try:
            seed_system(
                server.target,
                guard(server.target, None),
                GHOSTPASS,
                sizes={"wallets": 5000},
                seed=1,
                mode=Mode.NEW,
            )
            soak(server, Path(folder), given.rate, given.minutes)
        finally:
            server.reset()


def soak(server: EmbeddedServer, folder: Path, rate: float, minutes: float) -> None:
    """Run it and print what came out."""
    profile = load_profile(GHOSTPASS, "soak", {}, {"duration_s": minutes * 60})
    assert isinstance(profile, OpenProfile)
    request = RunRequest(
        system=GHOSTPASS,
        profile_name="soak",
        profile=scale(profile, rate=rate / profile.arrivals_per_s),
        target=server.target,
        project=Project(folder, Settings()),
        seed=1,
    )
    result = run(request, _say).result
    print(render_run(result))
    memory = next(slope for slope in result.slopes if slope.name == "rss_mb")
    call_count = result.total.calls
    slope = f"{memory.per_hour:+.1f} ± {memory.uncertainty:.1f} MB/h"
    grown = (memory.end - memory.start) * 1e6 / call_count
    span = f"{memory.start:.1f} MB to {memory.end:.1f} MB"
    print(f"memory: {span}, {slope}; {call_count:,} calls, {grown:.1f} bytes a call")


def _say(event: Event) -> None:
    if isinstance(event, RunAdvanced) and round(event.elapsed_s) % 30 == 0:
        print(f"{event.phase} {event.elapsed_s:.0f} s, {event.calls_per_s:.0f} calls/s", file=sys.stderr)


if __name__ == "__main__":
    main()
