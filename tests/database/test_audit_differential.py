"""The audit by plan says what the plain query says: verdict, count and rows, on random schemas, data and queries.

The plain query is asked of psycopg and of sqlite3, by none of our code. Every run draws anew from the seed in the header of
the tests; a failure prints the command that plays it again, the schema, the data and the query, and a file keeps them.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg
import pytest

from integrity.audit import AuditSettings, audit, plan_audit
from integrity.engines.target import Target
from integrity.events import InvariantJudged
from integrity.invariants.plan import PlannedJudging
from integrity.invariants.proof import Balance, NoRow, Unique
from integrity.sql.file import SqlFile
from integrity.verdict import InvariantVerdict, Verdict
from tests.database.bank import file
from tests.database.random_queries import QueryMaker
from tests.database.random_worlds import make_fill, make_world
from tests.sampling import SEED_VARIABLE, seed

SHARDS = 200
WORLDS, FILLS, QUERIES = 8, 4, 16  # a shard is 512 verdicts
WORLDS_MOST = 40
ROWS_MOST = 100_000

Answer = tuple[int, list[tuple[str, ...]]] | None
"""How many rows and which; None where the server refused the query."""


@dataclass
class Engine:
    """A database, and how to ask it without the product.

    Args:
        clear: return the statements that remove everything.
        execute: run a statement, which may fail: an amount that is no number, or does not fit.
        ask: return the plain query's answer.
    """

    target: Target
    clear: Callable[[], Sequence[str]]
    execute: Callable[[str], None]
    ask: Callable[[str], Answer]


@dataclass
class Tally:
    """What was judged, and what decided it."""

    verdicts: Counter[str] = field(default_factory=Counter)
    decided: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Told:
    """What is told of a case, and kept in a file beside: an output that is lost is no case lost, nor is one that hangs.

    Args:
        path: of the file, in the temporary folder of the test.
        again: the command that plays it again.
    """

    path: Path
    again: str

    def keep(self, *lines: str) -> str:
        text = ";\n".join((f"-- {self.again}", *lines))
        self.path.write_text(text, encoding="utf-8")
        return f"{text}\n-- kept in {self.path}"


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_plan_says_what_the_plain_query_says(shard: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    is_sqlite = shard % 4 == 3
    with _sqlite(tmp_path) if is_sqlite else _postgresql(request.getfixturevalue("database")) as engine:
        tally = Tally()
        kinds = {"row check", "query"} if is_sqlite else KINDS
        for number in range(WORLDS_MOST):
            if number >= WORLDS and kinds <= tally.decided.keys():
                break
            told = Told(tmp_path / "case.sql", f"{SEED_VARIABLE}={seed()} pytest '{request.node.nodeid}'")
            _play(Random(f"{seed()} {shard} {number}"), engine, tally, told)
    assert kinds - tally.decided.keys() == set(), tally  # whatever decides is seen to decide
    assert tally.verdicts[Verdict.UNKNOWN] < tally.verdicts.total() / 2, tally
    assert tally.verdicts[Verdict.VIOLATED] > tally.verdicts.total() / 10, tally


KINDS = {
    "row check",
    "row check with company",
    "unique index",
    "fingerprint",
    "fingerprint of one table",
    "fingerprints that differ",
    "query",
}


def _play(random: Random, engine: Engine, tally: Tally, told: Told) -> None:
    """Make a world, fill it some times, and hold the audit's findings against the plain queries' answers."""
    world = make_world(random, is_sqlite=engine.target.dialect == "sqlite")
    for statement in (*engine.clear(), *world.statements):
        engine.execute(statement)
    maker = QueryMaker(random, world, engine.target.dialect == "sqlite", tally.shapes)
    queries = {f"q{number}": maker.make() for number in range(QUERIES)}
    files = [file(query, name) for name, query in queries.items()]
    steps: dict[str, PlannedJudging] = {}
    for number in range(FILLS):
        fill = make_fill(random, world, is_sqlite=engine.target.dialect == "sqlite")
        for statement in (*fill.statements, *fill.mends):
            engine.execute(statement)
        told.keep(*world.statements, *fill.statements, *fill.mends, *queries.values())
        answers = {name: engine.ask(query) for name, query in queries.items()}
        settings = AuditSettings(
            row_limit=ROWS_MOST, connections=random.choice((1, 2)), random_source=random, is_exact=number == FILLS - 1
        )
        if not steps:  # what proves is of the schema, not of the rows
            steps = {step.name: step for step in plan_audit(engine.target, files, settings).steps}
        for name, finding in _findings(engine.target, files, settings):
            assert _certain(_says(finding), queries[name]) == _certain(answers[name], queries[name]), told.keep(
                *world.statements, *fill.statements, *fill.mends, queries[name], f"{finding}", f"{steps[name]}"
            )
            tally.verdicts[finding.verdict] += 1
            tally.decided[_decider(steps[name], finding)] += 1


def _findings(target: Target, files: list[SqlFile], settings: AuditSettings) -> list[tuple[str, InvariantVerdict]]:
    events = audit(target, files, settings)
    return [(event.finding.name, event.finding) for event in events if isinstance(event, InvariantJudged)]


def _says(finding: InvariantVerdict) -> Answer:
    """Return the finding as an answer of the plain query."""
    if finding.verdict is Verdict.UNKNOWN:
        return None
    return finding.violation_count, _spelled([tuple(row.values()) for row in finding.rows])


def _certain(answer: Answer, query: str) -> Answer:
    """Return what is the same each time that the query is asked: which rows a limit lets through is the server's choice."""
    return (answer[0], []) if answer is not None and " limit " in query else answer


def _decider(step: PlannedJudging, finding: InvariantVerdict) -> str:
    if finding.method == "query, as fingerprints differ":
        return "fingerprints that differ"
    if finding.method == "query" or finding.verdict is Verdict.UNKNOWN:
        return "query"
    proofs = [proof for proof, _ in step.proofs]
    if any(isinstance(proof, Balance) for proof in proofs):
        of_one = all(proof.right is None for proof in proofs if isinstance(proof, Balance))
        return "fingerprint of one table" if of_one else "fingerprint"
    if any(isinstance(proof, Unique) for proof in proofs):
        return "unique index"
    return "row check" if all(isinstance(proof, NoRow) and proof.is_whole for proof in proofs) else "row check with company"


@contextmanager
def _postgresql(target: Target) -> Iterator[Engine]:
    with target.connect() as connection:
        connection.execute("set client_min_messages = error")

        def ask(query: str) -> Answer:
            try:
                rows = connection.execute(query.encode()).fetchall()
            except psycopg.Error:
                return None
            return len(rows), _spelled(rows)

        def execute(statement: str) -> None:
            with suppress(psycopg.Error):
                connection.execute(statement.encode())

        yield Engine(target, lambda: ("drop schema public cascade", "create schema public"), execute, ask)


@contextmanager
def _sqlite(folder: Path) -> Iterator[Engine]:
    path = folder / "world.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:

        def ask(query: str) -> Answer:
            try:
                rows = connection.execute(query).fetchall()
            except sqlite3.Error:
                return None
            return len(rows), _spelled(rows)

        def execute(statement: str) -> None:
            with suppress(sqlite3.Error):
                connection.execute(statement)

        def clear() -> list[str]:
            made = connection.execute("select type, name from sqlite_master where type in ('table', 'view')").fetchall()
            return [f'drop {kind} "{name}"' for kind, name in made]

        connection.execute("pragma synchronous = off")
        yield Engine(Target.parse(f"sqlite:///{path}"), clear, execute, ask)


def _spelled(rows: Iterable[Sequence[object]]) -> list[tuple[str, ...]]:
    return sorted(tuple(str(value) for value in row) for row in rows)
