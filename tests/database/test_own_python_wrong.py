"""What is wrong in a Python system is told once, where it is written, with what to type instead."""

import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target

TABLES = """
create table rooms (id integer primary key, free integer not null check (free >= 0));
create table guests (name text primary key);
"""
FUNCTIONS = """
create function book(room bigint) returns integer language sql as $$
    update rooms set free = free + 1 where id = room returning free $$;
create function look(room bigint) returns integer language sql as $$ select free from rooms where id = room $$;
"""
MODULE = """
from integrity import Operation, System
from integrity.domain import KeyOf
from integrity.operation import Begin, Commit, Ok, Statement
from integrity.systems.functions import steps_of
ROWS = []

def inside(*, operation_id, room):
    yield Begin()
    yield Statement("select book(cast(:room as bigint))", {"room": room})
    return Ok({})

def alone(*, operation_id, room):
    yield Statement("select book(cast(:room as bigint))", {"room": room})
    return Ok({})

def reading(*, operation_id, room):
    yield Begin()
    yield Statement("select look(cast(:room as bigint))", {"room": room})
    return Ok({})

def locking(*, operation_id, room):
    yield Begin()
    yield Statement("select look(id) from rooms where id = :room for update", {"room": room})
    return Ok({})

def called(connection, room):
    connection.execute("select book(cast(%s as bigint))", (room,))  # of called

def misspelt(*, operation_id, room):
    yield from helped(room)
    return Ok({})

def helped(room):
    yield Begin()
    yield Statement("update rooms set fre = free + 1 where id = :room", {"room": room})  # of misspelt
    yield Commit()

STEPS = {"inside": inside, "alone": alone, "reading": reading, "locking": locking, "called": steps_of(called),
         "misspelt": misspelt}
SHOP = System("shop", "a shop", rows=ROWS,
              operations={name: Operation(name, steps, {"room": KeyOf("rooms")}) for name, steps in STEPS.items()})
"""
LEFT_OPEN = "it returns Ok with its transaction open, so nothing of that is stored:"

Integrity = Callable[..., tuple[int, str]]


@pytest.fixture
def integrity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Integrity]:
    """Run a command in a project with a module; gives its code and all that it printed, in one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    Path("integrity.toml").write_text('[systems]\nshop = "shop:SHOP"\n')
    Path("shop.py").write_text(MODULE)

    def run(*words: str) -> tuple[int, str]:
        sys.modules.pop("shop", None)
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, " ".join(f"{captured.out}{captured.err}".split())

    yield run
    sys.modules.pop("shop", None)


def line_of(text: str) -> int:
    lines = Path("shop.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def give_rows(rows: str) -> None:
    rows = f"from integrity.systems.wanted_row import WantedRow\nROWS = [{rows}]"
    Path("shop.py").write_text(MODULE.replace("ROWS = []", rows))


def test_a_system_without_rows_is_told_which_and_what_it_is_told_works(integrity: Integrity, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.executescript(TABLES)
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    code, told = integrity("race", "misspelt", "--database", url)
    said = "cannot be raced: inside draws room from the keys of rooms, and nothing says of a row there hint: "
    assert (code, said in told) == (2, True), told
    rows = re.search(r"rows=\[(.*?)\]", told)
    assert rows is not None, told

    give_rows(rows[1])
    code, told = integrity("race", "misspelt", "--database", url)

    place = f"misspelt (shop.py:{line_of('# of misspelt')}) fails however it is called: "
    assert (code, told.count(place), told.count("no such column: fre")) == (3, 1, 1), told
    choices = re.search(r"in every schedule of (\d+) choices of arguments", told)
    assert choices is not None, told
    assert int(choices[1]) > 2
    assert told.count("misspelt(room=") == 2  # of the first choice, told for all


def test_a_function_that_writes_is_no_reader_where_its_commit_was_forgotten(integrity: Integrity, database: Target) -> None:
    """That it writes is not in the text of the statement: the server is asked."""
    with database.connect() as connection:
        connection.execute(f"{TABLES}{FUNCTIONS}insert into rooms values (1, 1), (2, 1);")
    give_rows('WantedRow("room", "rooms", {})')
    words = ("--database", database.text)
    places = {
        "inside": f"shop.py:{line_of('return Ok') - 1}, in inside: {LEFT_OPEN} yield Commit() behind this",
        "called": f"shop.py:{line_of('# of called')}, in called: {LEFT_OPEN} connection.commit() behind this",
    }

    for name in ("inside", "called"):
        code, told = integrity("race", name, *words)
        assert (code, told[told.index("integrity: ") :]) == (2, f"integrity: {places[name]}")
    for name in ("alone", "reading", "locking"):
        code, told = integrity("race", name, "--schedules", "4", *words)
        assert (code != 2, LEFT_OPEN in told) == (True, False), told
    _, told = integrity(
        "run", "smoke", "--duration", "2s", *words, "--yes-this-is-a-test-database", database.url.database or ""
    )
    assert [place in told for place in places.values()] == [True, True], told
    assert told.count(LEFT_OPEN) == 2, told
