"""What a request takes of the generator's processors: `integrity run --target` beside wrk and Locust, on the same server.

    integrity serve streamvote --port 8000 --database URL
    python -m benchmarks.generators --target http://127.0.0.1:8000 --database URL [--locust PROGRAM] [--rounds 3]

All ask for the same event's tallies over 16 connections, as fast as answers come. Ours draws the event, records each call
and measures it; the others know one URL. Each is played for a short and for a longer time in turn, and what the difference
took of the processors is divided by how many requests it made: what it takes to start counts for nobody.
"""

import argparse
import csv
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

PATH = "/api/events/live?eventId=1"
CONNECTIONS = 16
SHORT_S, LONG_S = 3, 9

PROFILE = """[profiles.streamvote.polling]
extends = "hammer"
clients = 16
weights = { poll_event = 1 }
abandon = {}
subscribers = []
thresholds = []
"""

USERS = """from locust import FastHttpUser, HttpUser, task

class Requests(HttpUser):
    @task
    def poll(self):
        self.client.get("%(path)s", name="poll")

class Fast(FastHttpUser):
    @task
    def poll(self):
        self.client.get("%(path)s", name="poll")
"""


def main() -> None:
    """Print what a request takes with each, and the ratio of ours to it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--locust", help="the program; without it that is left out")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "integrity.toml").write_text(PROFILE)
        (folder / "users.py").write_text(USERS % {"path": PATH})
        tools: dict[str, Callable[[int], int]] = {
            "integrity run": partial(run_ours, asked.target, asked.database, folder),
            "wrk -t1": partial(run_wrk, asked.target),
        }
        if asked.locust:
            for user in ("Fast", "Requests"):
                tools[f"locust {user}"] = partial(run_locust, asked.locust, asked.target, folder, user)
        took_us: dict[str, list[float]] = {tool: [] for tool in tools}
        for _ in range(asked.rounds):
            for tool, play in tools.items():
                took_us[tool].append(of_a_request(play))
    ours = statistics.median(took_us["integrity run"])
    print(f"a request over {CONNECTIONS} connections, medians of {asked.rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for tool, figures in took_us.items():
        of_it = statistics.median(figures)
        print(f"  {tool:16} {of_it:5.0f} us [{min(figures):.0f}-{max(figures):.0f}]   ours beside it {ours / of_it:.2f}")


def of_a_request(play: Callable[[int], int]) -> float:
    """Return the microseconds of processors that a request takes."""
    figures = []
    for seconds in (SHORT_S, LONG_S):
        before_s = _used_s()
        made = play(seconds)
        figures.append((made, _used_s() - before_s))
    (few, short_s), (many, long_s) = figures
    return (long_s - short_s) / (many - few) * 1e6


def run_ours(target: str, database: str, folder: Path, seconds: int) -> int:
    command = [sys.executable, "-m", "integrity", "run", "polling", "--system", "streamvote", "--target", target]
    command += ["--duration", f"{seconds}s", "--database", database, "--project", str(folder), "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return sum(each["calls"] for each in json.loads(answer.stdout)["operations"])


def run_wrk(target: str, seconds: int) -> int:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", target + PATH]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) requests in", answer)
    assert found is not None, answer
    assert "Non-2xx" not in answer, answer
    return int(found[1])


def run_locust(program: str, target: str, folder: Path, user: str, seconds: int) -> int:
    command = [program, "-f", str(folder / "users.py"), "--headless", "--host", target, "--only-summary"]
    command += ["--users", str(CONNECTIONS), "--spawn-rate", str(CONNECTIONS), "--run-time", f"{seconds}s"]
    command += ["--csv", str(folder / "locust"), user]
    subprocess.run(command, capture_output=True, check=True)
    with (folder / "locust_stats.csv").open() as file:
        whole = next(row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
    assert whole["Failure Count"] == "0", whole
    return int(whole["Request Count"])


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
