"""What the proxy costs: `integrity run` straight to the server, and through the proxy with gates that let everything pass.

    python benchmarks/proxy.py [--clients 8] [--seconds 4] [--rounds 5] [--wallets 5000]

Both make the same sales on the same server. The proxy reads every message in both directions, in the process of the load
generator, so it takes its share of that one core. Rounds alternate; printed are medians, and the ratio of each round.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from integrity.database.namespace import guard
from integrity.engines.embedded.server import EmbeddedServer
from integrity.faults.schedule import read_schedule
from integrity.load.profile import load_profile
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system

OVERRIDES = {"sell": {"extends": "hammer", "weights": {"sell": 1}, "hot_share": 0.0, "abandon": {}, "thresholds": []}}
NOTHING = "lost_commit_ack:share=0@0-100%"  # through the proxy, and nothing is hidden
ENOUGH = "update ghostpass.wallets set balance_minor = 1000000000000"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--seconds", type=float, default=4.0)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--wallets", type=int, default=5000)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "postgres")
        target = server.start()
        try:
            sizes = {"wallets": chosen.wallets}
            seed_system(target, guard(target, None), GHOSTPASS, sizes=sizes, seed=1, mode=Mode.NEW)
            with target.connect() as connection:
                connection.execute(ENOUGH)
            measure(server, Project(Path(folder), Settings()), chosen)
        finally:
            server.reset()


def measure(server: EmbeddedServer, project: Project, chosen: argparse.Namespace) -> None:
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; the ratio falls when others compute")
    straight, through = [], []
    for number in range(chosen.rounds + 1):
        rates = [sell(server, project, chosen, number, faults=faults) for faults in ((), (NOTHING,))]
        if number == 0:
            continue  # the first round warms up
        straight.append(rates[0])
        through.append(rates[1])
        print(
            f"round {number}: straight {rates[0]:6.0f}/s   through the proxy {rates[1]:6.0f}/s   {rates[1] / rates[0]:.2f}"
        )
    ratios = [ours / limit for ours, limit in zip(through, straight, strict=True)]
    print(f"sales, {chosen.clients} clients, medians of {chosen.rounds} rounds of {chosen.seconds:g} s")
    print(f"  straight            {statistics.median(straight):6.0f}/s")
    print(f"  through the proxy   {statistics.median(through):6.0f}/s")
    print(f"  ratio                 {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]")


def sell(
    server: EmbeddedServer, project: Project, chosen: argparse.Namespace, seed: int, *, faults: tuple[str, ...]
) -> float:
    """Return calls per second; all must have been ok, or the two did not do the same."""
    settings = {"clients": chosen.clients, "duration_s": chosen.seconds}
    request = RunRequest(
        system=GHOSTPASS,
        profile_name="sell",
        profile=load_profile(GHOSTPASS, "sell", OVERRIDES, settings),
        target=server.target,
        project=project,
        seed=seed,
        faults=read_schedule(faults, duration_s=chosen.seconds),
    )
    total = run(request).result.total
    assert total.ok == total.calls, total
    return total.calls_per_s or 0.0


if __name__ == "__main__":
    main()
