"""Hermitage's table for PostgreSQL, by search: ten anomalies at three levels, each cell possible or prevented.

Each anomaly is two or three transactions and a predicate on what they saw; nobody writes an order down. A cell is possible
when the search finds a schedule, prevented when all schedules were played and none shows it.

Source: Kleppmann, Hermitage, github.com/ept/hermitage (the table for PostgreSQL).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.operation import Begin, Commit, Isolation, Ok, Rollback, Rows, Statement, Steps
from integrity.race.judge.judge import Judgement
from integrity.race.judge.oracles import Alarm, Oracle
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Actor, Keys, Program
from integrity.race.search.explore import Budget, explore
from integrity.systems.stage import Ref, Stage, StagedRow
from integrity.verdict import Verdict
from tests.detection.race_tables import new_database

LEVELS = (Isolation.READ_COMMITTED, Isolation.REPEATABLE_READ, Isolation.SERIALIZABLE)

READ_ONE = "select value from rows where world = :world and id = 1"
READ_TWO = "select value from rows where world = :world and id = 2"
READ_THIRDS = "select value from rows where world = :world and value % 3 = 0"


def write(identity: int, value: int) -> str:
    return f"update rows set value = {value} where world = :world and id = {identity}"


def insert(identity: int, value: int) -> str:
    return f"insert into rows (world, id, value) values (:world, {identity}, {value})"


def transaction(*statements: str, is_committed: bool = True) -> Actor:
    """Return an actor that runs the statements in one transaction and returns what its reads saw, r0, r1, ..."""

    def steps(keys: Keys, _operation_id: UUID) -> Steps:
        seen: dict[str, Any] = {}
        yield Begin()
        for sql in statements:
            rows: Rows = yield Statement(sql, keys)
            if sql.startswith("select"):
                seen[f"r{len(seen)}"] = ",".join(str(row["value"]) for row in rows)
        yield Commit() if is_committed else Rollback()
        return Ok(seen)

    return Actor("transaction", steps)


def stage() -> Stage:
    return Stage(
        [
            StagedRow("world", "worlds"),
            *(StagedRow(f"row {n}", "rows", {"world": Ref("world"), "id": n, "value": 10 * n}) for n in (1, 2)),
        ],
        {"world": Ref("world")},
    )


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One column of the table.

    Args:
        shows: given what each committed transaction read, the order of commits and the final values: the anomaly?
        possible: the levels at which it can occur.
    """

    name: str
    actors: tuple[Actor, ...]
    shows: Callable[[dict[str, list[str]], str, list[int]], bool]
    possible: tuple[Isolation, ...]


def committed(seen: dict[str, list[str]], **expected: list[str]) -> bool:
    """Return whether these transactions all committed, and read just this."""
    return all(seen.get(actor) == values for actor, values in expected.items())


def vanishes(seen: dict[str, list[str]], commits: str) -> bool:
    """C saw a later version of one row, and then an earlier one of the other."""
    versions = {"10": 0, "20": 0}
    for place, actor in enumerate(commits.replace("C", ""), start=1):
        versions |= {"A": {"11": place, "19": place}, "B": {"12": place, "18": place}}[actor]
    ages = [versions[value] for value in seen.get("C", [])]
    return ages != sorted(ages)


NOWHERE: tuple[Isolation, ...] = ()
ANOMALIES = (
    Anomaly(
        "G0",
        (transaction(write(1, 11), write(2, 21)), transaction(write(1, 12), write(2, 22))),
        lambda _seen, _commits, final: final in ([11, 22], [12, 21]),
        NOWHERE,
    ),
    Anomaly(
        "G1a",
        (transaction(write(1, 101), is_committed=False), transaction(READ_ONE, READ_ONE)),
        lambda seen, _commits, _final: "101" in seen.get("B", []),
        NOWHERE,
    ),
    Anomaly(
        "G1b",
        (transaction(write(1, 101), write(1, 11)), transaction(READ_ONE, READ_ONE)),
        lambda seen, _commits, _final: "101" in seen.get("B", []),
        NOWHERE,
    ),
    Anomaly(
        "G1c",
        (transaction(write(1, 11), READ_TWO), transaction(write(2, 22), READ_ONE)),
        lambda seen, _commits, _final: committed(seen, A=["22"], B=["11"]),
        NOWHERE,
    ),
    Anomaly(
        "OTV",
        (
            transaction(write(1, 11), write(2, 19)),
            transaction(write(1, 12), write(2, 18)),
            transaction(READ_ONE, READ_TWO),
        ),
        lambda seen, commits, _final: vanishes(seen, commits),
        NOWHERE,
    ),
    Anomaly(
        "PMP",
        (transaction(READ_THIRDS, READ_THIRDS), transaction(insert(3, 30))),
        lambda seen, _commits, _final: committed(seen, A=["", "30"], B=[]),
        LEVELS[:1],
    ),
    Anomaly(
        "P4",
        (transaction(READ_ONE, write(1, 11)), transaction(READ_ONE, write(1, 12))),
        lambda seen, _commits, _final: committed(seen, A=["10"], B=["10"]),
        LEVELS[:1],
    ),
    Anomaly(
        "G-single",
        (transaction(READ_ONE, READ_TWO), transaction(write(1, 12), write(2, 18))),
        lambda seen, _commits, _final: committed(seen, A=["10", "18"], B=[]),
        LEVELS[:1],
    ),
    Anomaly(
        "G2-item",
        (transaction(READ_ONE, READ_TWO, write(1, 11)), transaction(READ_ONE, READ_TWO, write(2, 21))),
        lambda seen, _commits, _final: committed(seen, A=["10", "20"], B=["10", "20"]),
        LEVELS[:2],
    ),
    Anomaly(
        "G2",
        (transaction(READ_THIRDS, insert(3, 30)), transaction(READ_THIRDS, insert(4, 42))),
        lambda seen, _commits, _final: committed(seen, A=[""], B=[""]),
        LEVELS[:2],
    ),
)


@dataclass(frozen=True, slots=True)
class Watcher:
    """Judges by one anomaly's predicate."""

    scheduler: Scheduler
    anomaly: Anomaly

    def judge(self, run: PlayedSchedule) -> Judgement:
        (answer,) = self.scheduler.ask([Statement("select value from rows where world = :world order by id", run.keys)])
        final = [row["value"] for row in answer.rows]
        returns = run.trace.returns.items()
        seen = {actor: [str(read) for read in value.value.values()] for actor, value in returns if isinstance(value, Ok)}
        commits = "".join(event.actor for event in run.trace.events if event.sql == "commit" and event.tag == "COMMIT")
        shows = self.anomaly.shows(seen, commits, final)
        return Judgement((Alarm(Oracle.INVARIANT, self.anomaly.name, ()),) if shows else (), ())


@pytest.fixture(scope="module")
def scheduler(server: EmbeddedServer) -> Iterator[Scheduler]:
    with new_database(server.target) as database:
        with database.connect() as connection:
            connection.execute("create table worlds (id bigint generated always as identity primary key)")
            connection.execute("create table rows (world bigint, id int, value int, primary key (world, id))")
        with Scheduler(database) as scheduler:
            yield scheduler


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.value)
@pytest.mark.parametrize("anomaly", ANOMALIES, ids=lambda anomaly: anomaly.name)
def test_an_anomaly_is_found_where_it_is_possible_and_nowhere_else(
    scheduler: Scheduler, anomaly: Anomaly, level: Isolation
) -> None:
    program = Program(anomaly.actors, stage, level)
    exploration = explore(scheduler, program, budget=Budget(preemptions=12), judge=Watcher(scheduler, anomaly))
    if level in anomaly.possible:
        assert exploration.verdict is Verdict.VIOLATED
        assert exploration.hits[0].is_repeatable
    else:
        assert exploration.verdict is Verdict.HOLDS
        assert exploration.coverage.is_exhaustive
