"""An exported test ends a deadlock as the scheduler does: the call is refused that waited last, and at once."""

from collections.abc import Callable, Iterator
from types import ModuleType
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from integrity.database.embedded import EmbeddedServer
from integrity.database.target import Target
from integrity.operation import Begin, Commit, Ok, Statement, Steps
from integrity.race.program import Actor, Keys, Program
from integrity.race.pytest_template import INVARIANT_ASSERTS, SHOWN, TEMPLATE
from integrity.race.scheduler import Scheduler
from integrity.race.trace import Failed
from tests.detection.race_bench import create_tables, new_database, stage

ADD_ONE = "update accounts set n = n + 1 where id = "


def adding_to(*names: str) -> Actor:
    """Return a call that adds one to each of these accounts, in this order, in one transaction."""

    def steps(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        for name in names:
            yield Statement(f"{ADD_ONE}:{name}", keys)
        yield Commit()
        return Ok()

    return Actor("add", steps)


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Iterator[Target]:
    with new_database(server.target) as database:
        create_tables(database)
        yield database


def exported(keys: Keys, orders: dict[str, tuple[str, str]]) -> ModuleType:
    """Return the module that an exported test of calls of `adding_to` would be."""
    bodies = {
        letter: "\n".join(f'    connection.execute("{ADD_ONE}{keys[name]}")' for name in names)
        for letter, names in orders.items()
    }
    text = TEMPLATE.format(
        title="deadlock",
        calls="",
        replay="",
        test_name="",
        sql_name="",
        functions_named="",
        turns="",
        constants='WRONG_ROWS = ""',
        asserts=SHOWN.format(opened="psycopg.connect(database)") + INVARIANT_ASSERTS,
        imports="",
        caught="psycopg.Error",
        functions="\n\n\n".join(
            f"def {each}(connection):\n{body}\n    connection.commit()" for each, body in bodies.items()
        ),
        name="deadlock",
        rule='""',
        actors="\n".join(f'    "{letter}": {letter},' for letter in bodies),
    )
    module = ModuleType("exported")
    exec(compile(text, "exported", "exec"), module.__dict__)  # noqa: S102  (our own text)
    return module


@pytest.mark.parametrize("letters", ["ABAB", "ABBA", "BAAB"])
def test_the_same_call_is_refused_in_a_deadlock_as_when_it_was_found(database: Target, letters: str) -> None:
    orders = {"A": ("account", "second"), "B": ("second", "account")}
    program = Program(tuple(adding_to(*names) for names in orders.values()), stage)
    with Scheduler(database) as scheduler:
        run = scheduler.play(program, letters)
    victims = {letter: value.sqlstate for letter, value in run.trace.returns.items() if isinstance(value, Failed)}
    play: Callable[..., dict[str, psycopg.Error]] = exported(run.keys, orders).play
    refused = play(make_conninfo(database.text), letters, exported(run.keys, orders).CALLS)
    assert {letter: error.sqlstate for letter, error in refused.items()} == victims
    assert list(victims.values()) == ["40P01"]
