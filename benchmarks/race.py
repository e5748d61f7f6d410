"""Races: ours, a stress loop on asyncio, and frontrun, on the same operations, tables and server.

    python -m benchmarks.race [--frontrun PYTHON] [--tries 1000]

frontrun is measured when --frontrun names the Python of an environment that has it:

    python -m venv /tmp/frontrun && /tmp/frontrun/bin/pip install frontrun sqlglot psycopg2-binary
    python -m benchmarks.race --frontrun /tmp/frontrun/bin/python

Prints, medians of five rounds that are interleaved:
- schedules per second of two operations of four statements (begin, select, update, commit), all orders, lock waits, fresh
  rows and the check included, and the serial orders and replays that the oracles need besides, which are not counted;
  aim: 500;
- schedules and milliseconds to the first hit of the asymmetric programs; aim: 20 and 100 ms; beside it the share of tries
  that go wrong in a stress loop whose calls start at once, and in one whose calls start within 5 ms at random: under 5 %;
- from sending a statement that waits for a lock to knowing that it does; aim: 2 ms.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, cast
from uuid import uuid4

import asyncpg
import uvloop
from psycopg.conninfo import make_conninfo
from tabulate import tabulate

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.operation import Begin, Commit, Isolation, Reply, Statement, Steps
from integrity.race.judge.judge import Judge
from integrity.race.play.postgresql.engine import PostgresEngine
from integrity.race.play.scheduler import Scheduler
from integrity.race.play.session import Session
from integrity.race.play.staging import Inserter, staged
from integrity.race.program.program import Actor, Keys, Program, RaceHistory
from integrity.race.search.explore import Budget, explore
from integrity.sql.parameters import number_parameters
from integrity.systems.stage import Stage
from tests.detection.race_bench import CASES, Case
from tests.detection.race_tables import create_tables

ROUNDS = 5
SEARCHES = 5  # of one program in a row
TRIES_A_ROUND = 100  # of the stress loop, to compare the pace with
SPREAD_SECONDS = 0.005
STRESS_SECONDS_MAX = 20
SYMMETRIC = ("lost update", "lost update, for update")
ASYMMETRIC = ("long reader", "cart", "report, repeatable read")
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "shared_buffers": "256MB"}
ALL_ORDERS = Budget(preemptions=12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frontrun", metavar="PYTHON", help="the Python of an environment that has frontrun")
    parser.add_argument("--tries", type=int, default=1000, help="of the stress loop, for each program")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder), settings=SETTINGS, dies_with_parent=True)
        server.start()
        try:
            create_tables(server.target)
            report(server.target, options.frontrun, options.tries)
        finally:
            server.stop()


def report(target: Target, frontrun: str | None, tries: int) -> None:
    rates: dict[str, list[float]] = {}
    hits: dict[str, list[tuple[int, float]]] = {}
    paces: list[float] = []
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; figures fall when others compute")
    with Scheduler(target) as scheduler:
        inserter = cast(PostgresEngine, scheduler.engine).inserter
        waits = time_waits(scheduler)
        for number in range(ROUNDS + 1):  # the first warms up
            for name in SYMMETRIC:
                for label, is_serial_judged in (("invariant", False), ("both oracles", True)):
                    rate = search_all(scheduler, case(name), is_serial_judged=is_serial_judged)
                    if number:
                        rates.setdefault(f"{name}, {label}", []).append(rate)
            if number:
                paces.append(stress(target, inserter, case(SYMMETRIC[0]), TRIES_A_ROUND).tries_per_second)
            for name in (*SYMMETRIC[:1], *ASYMMETRIC):
                hit = explore(scheduler, case(name).program, budget=Budget()).hits[0]
                if number:
                    hits.setdefault(name, []).append((hit.schedules, hit.seconds))
    stressed = {
        name: (
            stress(target, inserter, case(name), tries),
            stress(target, inserter, case(name), tries, spread_seconds=SPREAD_SECONDS),
        )
        for name in (*SYMMETRIC[:1], *ASYMMETRIC)
    }
    peer = run_frontrun(frontrun, target) if frontrun else {}
    print(f"the stress loop tries lost update {spread(paces)} times a second")
    print()
    headers = ["schedules/s", "ours", "of the stress loop's tries", "frontrun", "of its"]
    print(tabulate(speed_rows(rates, paces, peer), headers=headers))
    print()
    headers = ["first hit", "ours", "stress loop", "the same, starts apart", "frontrun"]
    print(tabulate(hit_rows(hits, stressed, peer), headers=headers))
    print()
    print(f"from a statement that waits to knowing it: {milliseconds(statistics.median(waits))} median, ", end="")
    print(f"{milliseconds(sorted(waits)[len(waits) * 99 // 100])} p99, {len(waits)} waits")
    if not frontrun:
        print("frontrun was not measured: name the Python of an environment that has it with --frontrun")


def case(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def search_all(scheduler: Scheduler, raced: Case, *, is_serial_judged: bool) -> float:
    """Play every order of a program several times, none spared; return schedules of the search per second.

    The serial orders that the second oracle plays and the replays of what was found take their time and are not counted.
    """
    played = 0
    began = time.perf_counter()
    for _ in range(SEARCHES):
        judge = Judge(scheduler, raced.program, is_serial_judged=is_serial_judged)
        found = explore(scheduler, raced.program, budget=ALL_ORDERS, is_pruned=False, stops_at_first=False, judge=judge)
        played += found.coverage.played
    return played / (time.perf_counter() - began)


def time_waits(scheduler: Scheduler, count: int = 500) -> list[float]:
    """Return how long it took from releasing a statement that waits for a lock to knowing that it does."""
    seconds: list[float] = []
    released = 0.0
    release, wait_for = Session.release, Session.wait_for

    def timed_release(session: Session, **options: Any) -> None:
        nonlocal released
        released = time.perf_counter()
        release(session, **options)

    def timed_wait_for(session: Session, *given: Any, **options: Any) -> Any:
        seconds.append(time.perf_counter() - released)
        return wait_for(session, *given, **options)

    Session.release, Session.wait_for = timed_release, timed_wait_for  # type: ignore[assignment, method-assign]
    try:
        for _ in range(count):
            scheduler.play(case(SYMMETRIC[1]).program, "AB")
    finally:
        Session.release, Session.wait_for = release, wait_for  # type: ignore[method-assign]
    return seconds[count // 10 :]


# The stress loop: the calls start at once, each on a connection of its own that is kept, on a fresh row.


@dataclass(frozen=True, slots=True)
class Stress:
    """What a stress loop came to."""

    tries: int
    wrong: int
    seconds: float

    @property
    def tries_per_second(self) -> float:
        return self.tries / self.seconds


def stress(target: Target, inserter: Inserter, raced: Case, tries: int, *, spread_seconds: float = 0) -> Stress:
    """Return what the loop comes to; it ends early after STRESS_SECONDS_MAX.

    Args:
        spread_seconds: each call starts at random within so long.
    """

    async def loop() -> Stress:
        given = {key: target.url.query[key] for key in target.url.query}
        options = {"host": given.get("host", target.url.host), "port": int(str(given.get("port", 5432)))}
        connections = [
            await asyncpg.connect(**options, user=target.url.username, database=target.url.database)
            for _ in range(len(raced.program.actors) + 1)
        ]
        try:
            return await stress_on(connections, inserter, raced.program, tries, spread_seconds)
        finally:
            for connection in connections:
                await connection.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(loop())


async def stress_on(
    connections: list[Any], inserter: Inserter, program: Program, tries: int, spread_seconds: float
) -> Stress:
    control, *workers = connections
    random = Random(0)
    wrong = tried = 0
    began = time.perf_counter()
    while tried < tries and time.perf_counter() - began < STRESS_SECONDS_MAX:
        keys = await insert(control, program.stage(), inserter)
        calls = [
            start(actor, keys, connection, program, delay_seconds=random.uniform(0, spread_seconds))
            for actor, connection in zip(program.actors, workers, strict=True)
        ]
        await asyncio.gather(*calls, return_exceptions=True)
        check = program.checks[0].violations(keys, RaceHistory())
        sql, names = number_parameters(check.sql)
        wrong += bool(await control.fetch(sql, *(keys[name] for name in names)))
        tried += 1
    return Stress(tried, wrong, time.perf_counter() - began)


async def insert(connection: Any, stage: Stage, inserter: Inserter) -> Keys:
    """Insert the rows that one try is played on, as the scheduler does; return their keys."""
    statement = inserter.statement(stage)
    sql, names = number_parameters(statement.sql)
    rows = await connection.fetch(sql, *(statement.parameters[name] for name in names))
    return staged(stage, inserter.read_ids(stage, rows[0])).keys


async def start(actor: Actor, keys: Keys, connection: Any, program: Program, *, delay_seconds: float) -> Reply:
    if delay_seconds:
        await asyncio.sleep(delay_seconds)
    return await drive(connection, actor.steps(keys, uuid4()), program.isolation)


async def drive(connection: Any, steps: Steps, isolation: Isolation) -> Reply:
    """Drive an operation to its return; a refusal rolls back and is raised."""
    rows = None
    try:
        while True:
            step = steps.send(rows)
            rows = None
            match step:
                case Begin():
                    await connection.execute(f"begin isolation level {isolation.value}")
                case Statement():
                    sql, names = number_parameters(step.sql)
                    rows = await connection.fetch(sql, *(step.parameters[name] for name in names))
                case Commit():
                    await connection.execute("commit")
                case _:
                    await connection.execute("rollback")
    except StopIteration as end:
        reply: Reply = end.value
        return reply
    except asyncpg.PostgresError:
        await connection.execute("rollback")
        raise


def run_frontrun(python: str, target: Target) -> dict[str, dict[str, Any]]:
    """Return what frontrun said of each program, by name."""
    command = [
        str(Path(python).with_name("frontrun")),
        python,
        str(Path(__file__).with_name("race_frontrun.py")),
        make_conninfo(target.text),
        "60",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


def speed_rows(rates: dict[str, list[float]], paces: list[float], peer: dict[str, dict[str, Any]]) -> list[list[str]]:
    rows = []
    for name, values in rates.items():
        theirs = peer.get(f"{name.rpartition(', ')[0]}, all")
        their_rate = theirs["schedules"] / theirs["seconds"] if theirs else 0.0
        rows.append(
            [
                name,
                spread(values),
                f"{statistics.median(ours / pace for ours, pace in zip(values, paces, strict=True)):.2f}",
                f"{their_rate:,.0f}" if theirs else "",
                f"{statistics.median(values) / their_rate:.0f} times" if theirs else "",
            ]
        )
    return rows


def hit_rows(
    hits: dict[str, list[tuple[int, float]]],
    stressed: dict[str, tuple[Stress, Stress]],
    peer: dict[str, dict[str, Any]],
) -> list[list[str]]:
    rows = []
    for name, found in hits.items():
        theirs = peer.get(name.partition(",")[0]) or peer.get(f"{name}, all")
        rows.append(
            [
                name,
                f"{found[0][0]} schedules, {milliseconds(statistics.median(seconds for _, seconds in found))}",
                *(f"{each.wrong} of {each.tries} wrong" for each in stressed[name]),
                f"{theirs['verdict']}, {theirs['schedules']} schedules, {milliseconds(theirs['seconds'])}"
                if theirs
                else "",
            ]
        )
    return rows


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} [{min(values):,.0f}-{max(values):,.0f}]"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"


if __name__ == "__main__":
    main()
