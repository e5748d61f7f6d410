"""What survives: a server is killed (-9, every process of it) again and again while a hammer run goes on; then its data is
audited against what clients were told.

    python benchmarks/crashes.py [--kills 20] [--wallets 1000] [--seed 1]

Once with synchronous_commit on, when every acknowledged call must be there, and once with it off, when PostgreSQL promises
less: what is missing then is found by the invariant `ghostpass/acknowledged-call-is-stored`, and counted. Exits with 1 when
one that was acknowledged with synchronous_commit on is missing, or any other invariant is violated there.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from integrity.audit import AuditSettings, audit
from integrity.database.namespace import guard
from integrity.engines.embedded.server import EmbeddedServer
from integrity.events import InvariantJudged
from integrity.faults.schedule import read_schedule
from integrity.invariants.load import load_invariants
from integrity.load.profile import load_profile
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.runs.result import RunResult
from integrity.seeds.load import Mode, seed_system
from integrity.verdict import Verdict

BETWEEN_S = 1.5  # of traffic before each kill
DOWN_S = 0.2
STORED = "ghostpass/acknowledged-call-is-stored"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--wallets", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    missing = {setting: measure(setting, chosen) for setting in ("on", "off")}
    sys.exit(1 if missing["on"] else 0)


def measure(synchronous_commit: str, chosen: argparse.Namespace) -> int:
    """Kill, audit, print; return how many rows violate an invariant."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), Settings())
        server = EmbeddedServer(Path(folder) / "postgres", settings={"synchronous_commit": synchronous_commit})
        target = server.start()
        results: list[RunResult] = []
        try:
            sizes = {"wallets": chosen.wallets}
            seed_system(target, guard(target, None), GHOSTPASS, sizes=sizes, seed=chosen.seed, mode=Mode.NEW)
            # A recovery that takes longer than planned leaves out a kill: another run makes up for it.
            while (left := chosen.kills - kill_count(results)) > 0:
                results.append(hammer(server, project, left, seed=chosen.seed + len(results)))
            events = audit(target, list(load_invariants(project).values()), AuditSettings())
            judged = [event.finding for event in events if isinstance(event, InvariantJudged)]
        finally:
            server.reset()
    return report(synchronous_commit, results, {f.name: f.violation_count for f in judged if f.verdict is Verdict.VIOLATED})


def hammer(server: EmbeddedServer, project: Project, kills: int, *, seed: int) -> RunResult:
    """Return the result of a run with that many kills."""
    duration_s = kills * (BETWEEN_S + DOWN_S) + BETWEEN_S
    starts = [BETWEEN_S + number * (BETWEEN_S + DOWN_S) for number in range(kills)]
    texts = [f"server_killed@{start:.2f}-{start + DOWN_S:.2f}" for start in starts]
    request = RunRequest(
        system=GHOSTPASS,
        profile_name="hammer",
        profile=load_profile(GHOSTPASS, "hammer", {}, {"duration_s": duration_s}),
        target=server.target,
        project=project,
        seed=seed,
        revive=server.start,
        server=server,
        faults=read_schedule(texts, duration_s=duration_s),
    )
    return run(request).result


def kill_count(results: list[RunResult]) -> int:
    return sum(effect.did.get("servers killed", 0) for result in results for effect in result.faults)


def report(synchronous_commit: str, results: list[RunResult], violated: dict[str, int]) -> int:
    """Print what came out; return how many rows violate an invariant."""
    missing = violated.pop(STORED, 0)
    ok = sum(result.total.ok for result in results)
    settled = [result.unknown_outcomes for result in results if result.unknown_outcomes is not None]
    unknown, committed, absent = (
        sum(getattr(each, name) for each in settled) for name in ("unknown", "committed", "absent")
    )
    down_s = [effect.healed_s - effect.from_s for result in results for effect in result.faults]
    seconds = sum(result.elapsed_s for result in results)
    print(f"synchronous_commit {synchronous_commit}: {kill_count(results)} kills in {seconds:.0f} s of traffic")
    print(f"  down {min(down_s):.2f} to {max(down_s):.2f} s each, recovery included")
    print(f"  {ok} calls acknowledged ok, {missing or 'none'} of them missing")
    print(f"  {unknown} unknown: {committed} turned out committed, {absent} not")
    print(f"  other invariants violated: {', '.join(f'{n} ({c})' for n, c in violated.items()) or 'none'}", flush=True)
    return missing + sum(violated.values())


if __name__ == "__main__":
    main()
