"""What the proxy costs: `integrity run` straight to the server, and through the proxy with gates that let everything pass;
and before that what one statement of one client takes, straight and through `integrity proxy`, a process of its own.

    python benchmarks/proxy.py [--clients 8] [--seconds 4] [--rounds 5] [--wallets 5000] [--statements 1000]

A statement is a prepared select of one row, one at a time; through the proxy once as it only follows what passes, and once
as it writes that down, too. Turns of 100 alternate.
Both make the same sales on the same server. The proxy reads every message in both directions, in the process of the load
generator, so it takes its share of that one core. Rounds alternate; printed are medians, and the ratio of each round.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from integrity.database.namespace import guard
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.faults.schedule import read_schedule
from integrity.load.profile import load_profile
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system

OVERRIDES = {"sell": {"extends": "hammer", "weights": {"sell": 1}, "hot_share": 0.0, "abandon": {}, "thresholds": []}}
TURN = 100
NOTHING = "lost_commit_ack:share=0@0-100%"  # through the proxy, and nothing is hidden
ENOUGH = "update ghostpass.wallets set balance_minor = 1000000000000"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--seconds", type=float, default=4.0)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--wallets", type=int, default=5000)
    arguments.add_argument("--statements", type=int, default=1000, help="of each round of the three")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "postgres")
        target = server.start()
        try:
            measure_statements(target, Path(folder), chosen)
            sizes = {"wallets": chosen.wallets}
            seed_system(target, guard(target, None), GHOSTPASS, sizes=sizes, seed=1, mode=Mode.NEW)
            with target.connect() as connection:
                connection.execute(ENOUGH)
            measure(server, Project(Path(folder), Settings()), chosen)
        finally:
            server.reset()


def measure_statements(target: Target, folder: Path, chosen: argparse.Namespace) -> None:
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with ExitStack() as stack:
        urls = {
            "straight": target.text,
            "through the proxy": stack.enter_context(standing(target, folder)),
            "and written down": stack.enter_context(standing(target, folder, "--record", "record.jsonl")),
        }
        clients = {name: stack.enter_context(psycopg.connect(url, autocommit=True)) for name, url in urls.items()}
        taken: dict[str, list[float]] = {name: [] for name in urls}
        for turn in range(chosen.rounds * chosen.statements // TURN + 1):
            for name, client in clients.items():
                took = [ask(client) for _ in range(TURN)]
                if turn:  # the first one prepares
                    taken[name] += took
    print(f"a statement in microseconds, {len(taken['straight'])} of each, turns of {TURN}")
    straight = np.percentile(taken["straight"], [50, 99])
    for name, times in taken.items():
        found = np.percentile(times, [50, 99])
        ratios = "" if name == "straight" else f"   {found[0] / straight[0]:.2f} and {found[1] / straight[1]:.2f} times"
        print(f"  {name:20} median {found[0]:6.0f}   p99 {found[1]:6.0f}{ratios}")


def ask(client: "psycopg.Connection[Any]") -> float:
    began = time.perf_counter()
    client.execute("select %s::int", [1], prepare=True).fetchone()
    return (time.perf_counter() - began) * 1e6


@contextmanager
def standing(target: Target, folder: Path, *options: str) -> Iterator[str]:
    """Give the URL of `integrity proxy` in front of the database."""
    command = [sys.executable, "-m", "integrity", "proxy", "--database", target.text, *options]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as proxy:
        assert proxy.stderr is not None
        try:
            yield next(line.partition("=")[2].strip() for line in proxy.stderr if "DATABASE_URL=" in line)
        finally:
            proxy.terminate()


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
