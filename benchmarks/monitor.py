"""What `integrity monitor` costs: pgbench's built-in transactions with and without a monitor beside them.

    python benchmarks/monitor.py [--clients 8] [--seconds 5] [--rounds 5] [--every 1]

Rounds alternate. The ratio of the rates is noisy on a shared machine; the CPU time of the monitor's own thread and of its
session on the server, per sample, is not, and is what to read.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from integrity.engines.embedded.binaries import candidate_folders
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.monitor.sampler import Monitor


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--seconds", type=int, default=5)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--every", type=float, default=1.0)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "postgres")
        target = server.start()
        try:
            measure(target, chosen)
        finally:
            server.stop()


def measure(target: Target, chosen: argparse.Namespace) -> None:
    pgbench(target, "--initialize", "--scale=5", "--quiet")
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    ratios, own_ms, server_ms = [], [], []
    for number in range(chosen.rounds + 1):
        alone = run_pgbench(target, chosen)
        with Monitor(target, every_s=chosen.every) as monitor:
            watched = run_pgbench(target, chosen)
            backend_s = cpu_s(monitor.facts["backend_pid"])
        if number == 0:
            continue  # the first round warms up
        samples = monitor.read_samples()[1:]  # the first one connects
        ratios.append(watched / alone)
        own_ms += [sample["own_cpu_ms"] for sample in samples]
        server_ms.append(backend_s * 1000 / len(samples))
        print(f"round {number}: alone {alone:6.0f}/s   watched {watched:6.0f}/s   {watched / alone:.2f}")
    print(f"{chosen.clients} clients, {chosen.rounds} rounds of {chosen.seconds} s, a sample every {chosen.every:g} s")
    print(f"  rate watched / alone        {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]")
    print(f"  CPU of its thread           {statistics.median(own_ms):.1f} ms a sample, at most {max(own_ms):.1f}")
    print(f"  CPU of its session          {statistics.median(server_ms):.1f} ms a sample, connecting included")


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_pgbench(target: Target, chosen: argparse.Namespace) -> float:
    """Return transactions per second."""
    answer = pgbench(target, "--no-vacuum", "--protocol=prepared", f"--client={chosen.clients}", f"--time={chosen.seconds}")
    line = next(line for line in answer.splitlines() if line.startswith("tps = "))
    return float(line.split()[2])


def pgbench(target: Target, *words: str) -> str:
    """Return what pgbench says."""
    program = next(
        binaries.folder / "pgbench" for binaries in candidate_folders(os.environ) if (binaries.folder / "pgbench").exists()
    )
    command = [str(program), *words, "--host", str(target.url.query["host"]), "--username", str(target.url.username)]
    ran = subprocess.run(
        [*command, str(target.url.database)], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}
    )
    return ran.stdout


if __name__ == "__main__":
    main()
