"""What starting costs: short commands beside importing the three libraries that no audit does without, in CPU seconds.

    python benchmarks/start_up.py [--rounds 9]

The commands take turns. CPU seconds are user and system of the whole process, as the kernel counts them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from integrity.engines.embedded.server import EmbeddedServer

LIMIT = [sys.executable, "-c", "import click, psycopg, sqlglot"]
OURS = [sys.executable, "-m", "integrity"]
ONE = ["validate", "--select", "ghostpass/balance-equals-entries"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=9)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "postgres")
        target = server.start()
        url = ["--database", target.text]
        try:
            subprocess.run([*OURS, "seed", "--system", "ghostpass", "--wallets", "50", *url], check=True, cwd=folder)
            measure({"the imports": LIMIT, "--version": [*OURS, "--version"], "list": [*OURS, "list"],
                     "validate of one": [*OURS, *ONE, *url]}, rounds, folder)  # fmt: skip
        finally:
            server.reset()


def measure(commands: dict[str, list[str]], rounds: int, folder: str) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            took = cpu_s(command, folder)
            if number:  # the first round warms up
                seconds[name].append(took)
    limit = statistics.median(seconds["the imports"])
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        print(f"{name:16} {middle:.3f} s [{min(taken):.3f}-{max(taken):.3f}]   {middle / limit:.2f} of the imports")


def cpu_s(command: list[str], folder: str) -> float:
    before = os.times()
    # With its byte code, as an installed command has it, whatever this shell says of that.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = f"{folder}/byte_code"
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, env=environment)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main()
