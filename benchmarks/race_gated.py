"""Races through the proxy: functions, and requests of an application, beside the same statements raced in process.

    python -m benchmarks.race_gated [--rounds 5]

Two calls each read a balance in a transaction and write one less. In process they are operations that are stepped on
connections of its own; functions and the application, a process of its own, have one pool of psycopg's connections, which
leads through the proxy. All orders are played, none spared, both oracles asked. Rounds alternate; printed are medians of
schedules a second, of the ratios of each round, and of what a schedule takes of the processors, of ours, the server's and
the application's processes together, which others on the machine disturb less; aims: 0.5 of the rate for functions, 0.3
over HTTP.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import psycopg

from benchmarks.race import ALL_ORDERS, SEARCHES, SETTINGS, case
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.events import listen
from integrity.jobs.request_race import RequestRace
from integrity.jobs.site import open_site
from integrity.project import Project, Settings
from integrity.race.gated.calls import Callers
from integrity.race.gated.postgresql.stand import open_stand
from integrity.race.judge.judge import Judge
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Check, Program, on_keys
from integrity.race.search.explore import explore
from integrity.scenarios.subject import subject_of_curl
from integrity.systems.stage import Stage
from tests.detection.race_tables import create_tables

CASES = {"lost update": "", "lost update, for update": "for update"}
APP = f"{sys.executable} -m benchmarks.race_gated --serve"
# As of the operations, so that both oracles are asked of all three: where one has spoken the other is spared its plays.
CHECKS = (Check("lost update", on_keys("select id, balance, n from accounts where id = 1 and balance <> 1000 - 100 * n")),)
Pool = Queue[psycopg.Connection[Any]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.serve:
        serve()
        return
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder), settings=SETTINGS, dies_with_parent=True)
        server.start()
        try:
            create_tables(server.target)
            with server.target.connect() as connection:
                connection.execute("insert into accounts (id, balance) values (1, 1000)")
            measure(server.target, chosen.rounds)
        finally:
            server.stop()


@dataclass(frozen=True, slots=True)
class Pace:
    """Of one round.

    Args:
        rate: schedules of the search a second.
        cpu_ms: of all processes, a schedule.
    """

    rate: float
    cpu_ms: float


def measure(target: Target, rounds: int) -> None:
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; figures fall when others compute")
    all_ratios: dict[str, list[float]] = {}
    for name, lock in CASES.items():
        paces: dict[str, list[Pace]] = {"in process": [], "functions": [], "HTTP": []}
        for number in range(rounds + 1):  # the first warms up
            for way, search in (("in process", in_process), ("functions", by_functions), ("HTTP", over_http)):
                pace = search(target, name, lock)
                if number:
                    paces[way].append(pace)
        for way, seen in paces.items():
            ratios = [one.rate / other.rate for one, other in zip(seen, paces["in process"], strict=True)]
            all_ratios.setdefault(way, []).extend(ratios)
            rate, cpu_ms = (statistics.median(figures) for figures in zip(*map(astuple, seen), strict=True))
            print(
                f"{name:24} {way:10} {rate:6.0f} schedules/s   {spread(ratios)} of those in process   {cpu_ms:5.1f} ms CPU"
            )
    for way in ("functions", "HTTP"):
        print(f"both {way:30} {spread(all_ratios[way])} of those in process")


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"


def in_process(target: Target, name: str, _lock: str) -> Pace:
    with Scheduler(target) as scheduler:
        return search_all(scheduler, case(name).program)


def by_functions(target: Target, _name: str, lock: str) -> Pace:
    with ExitStack() as stack:
        stand = stack.enter_context(open_stand(target))
        pool = fill_pool(stand.target.text)
        callers = Callers()
        stack.callback(callers.close)
        for connection in pool.queue:
            stack.callback(connection.close)
        actor = callers.actor(lambda: withdraw(pool, lock))
        program = Program((actor, actor), lambda: Stage((), {}), checks=CHECKS, is_captured=True)
        return search_all(stand.scheduler, program)


def over_http(target: Target, _name: str, lock: str) -> Pace:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        project = Project(folder, Settings())
        line = f"curl -X POST http://127.0.0.1:9/withdraw?lock={lock.replace(' ', '+')}"
        subject = subject_of_curl(project, [line], "", f"cd {Path.cwd()} && {APP}", count=2)
        site = listen(open_site(subject, target, project, RequestRace(), stack))
        return search_all(site.stand.scheduler, replace(site.program(), checks=CHECKS))


def search_all(scheduler: Scheduler, program: Program) -> Pace:
    """Play every order of a program several times, none spared."""
    played = 0
    cpu_before, began = cpu_seconds(), time.perf_counter()
    for _ in range(SEARCHES):
        judge = Judge(scheduler, program)
        found = explore(scheduler, program, budget=ALL_ORDERS, is_pruned=False, stops_at_first=False, judge=judge)
        played += found.coverage.played
    rate = played / (time.perf_counter() - began)
    return Pace(rate, 1000 * (cpu_seconds() - cpu_before) / played)


def cpu_seconds() -> float:
    """Return what this process and those that live and come from it have had of the processors."""
    children: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            fields = place.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            pid = int(place.parent.name)
            ticks[pid] = int(fields[11]) + int(fields[12])
            children.setdefault(int(fields[1]), []).append(pid)
    total, left = 0, [os.getpid()]
    while left:
        pid = left.pop()
        total += ticks.get(pid, 0)
        left += children.get(pid, [])
    return total / os.sysconf("SC_CLK_TCK")


def withdraw(pool: Pool, lock: str) -> dict[str, int]:
    connection = pool.get()
    try:
        with connection.transaction():
            row = connection.execute(f"select balance from accounts where id = %s {lock}".encode(), (1,)).fetchone()
            balance = row[0] - 100 if row else 0
            connection.execute("update accounts set balance = %s, n = n + 1 where id = %s", (balance, 1))
        return {"balance": balance}
    finally:
        pool.put(connection)


def fill_pool(url: str) -> Pool:
    pool: Pool = Queue()
    for _ in range(3):
        pool.put(psycopg.connect(url, autocommit=True))
    return pool


def serve() -> None:
    pool = fill_pool(os.environ["DATABASE_URL"])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            lock = "for update" if "update" in self.path else ""
            content = json.dumps(withdraw(pool, lock)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()
