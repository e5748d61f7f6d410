"""Engines: each is a folder that has all that one may be asked for, and nothing else asks which one it is."""

import ast
import re
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.engine import Engine
from integrity.engines.known import ENGINES, SCHEMES, find_engine, find_part
from integrity.engines.target import Target
from integrity.errors import UsageError
from tests.unit.sources import PACKAGE, imports, nodes, sources

DRIVERS = ("psycopg", "asyncpg", "sqlite3")

# What only a server has that shows its sessions: its health, its sessions watched, faults of its own, psql. Who has no such
# server is not asked (`has_server`); another engine with one would have its part in these rooms. The list only shrinks.
OF_SERVERS = {
    *(f"seeds/schema/{name}.py" for name in ("catalogue", "fill", "judge", "keys", "loosen", "plan", "pools", "rehearsal")),
    "cli/db_command.py",
    "faults/lock_holder.py",
    "faults/pool_exhaustion.py",
    "faults/scene.py",
    "health/after.py",
    "health/before.py",
    "health/server.py",
    "monitor/database.py",
    "proxy/server.py",
    "runs/settlement.py",
}

# What imitates psycopg for somebody's functions, and what plays files that PostgreSQL's own tester plays.
IN_ANOTHERS_WORDS = {"systems/functions.py", "systems/script/spec_system.py"}


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_has_all_that_one_may_be_asked_for(name: str) -> None:
    asked_for = {member for member in vars(Engine) if not member.startswith("_")}
    engine = find_engine(name)
    assert {member for member in asked_for if not hasattr(engine, member)} == set()
    assert (PACKAGE / "engines" / name / "engine.py").exists()


def test_a_name_that_no_engine_has_is_refused_and_imports_nothing() -> None:
    with pytest.raises(UsageError, match="no support for databases of kind 'embedded'"):
        find_engine("embedded")


def test_a_target_of_each_scheme_knows_its_engine() -> None:
    urls = {"postgresql": "postgresql://u@h/d", "postgres": "postgres://u@h/d", "sqlite": "sqlite:///venue.db"}
    assert {scheme: Target.parse(urls[scheme]).dialect for scheme in SCHEMES} == SCHEMES


def test_what_a_room_lacks_for_an_engine_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match="no support for duels on SQLite"):
        find_part("integrity.race", "sqlite", "duel", serves="duels")


def test_an_error_within_an_engines_part_is_no_lack_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "duels").mkdir()
    (tmp_path / "duels" / "sqlite.py").write_text("import nothing_of_that_name")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
        find_part("duels", "sqlite", serves="duels")


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_has_its_part_in_every_room_that_needs_one(name: str) -> None:
    parts = (("clients", ""), ("race.play", "engine"), ("race.play", "scratch"), ("race.export", "driver"))
    for room, module in parts:
        find_part(f"integrity.{room}", name, module, serves=room)


def test_nobody_but_an_engine_names_one() -> None:
    """Neither compared with, nor as a default, nor as a key: who needs a fact asks the engine for it."""
    named = {
        f"{place}: {node.value!r}"
        for place, node in nodes("|".join(ENGINES))
        if _is_other(place) and not place.startswith("reference/")  # a model of tables may say what an engine calls a thing
        if isinstance(node, ast.Constant) and node.value in ENGINES
    }
    assert named == set()


def test_nobody_but_an_engine_asks_which_one_it_is_or_knows_its_driver() -> None:
    known = {
        f"{place}: {name}"
        for place in sources()
        if _is_other(place) and place not in OF_SERVERS | IN_ANOTHERS_WORDS
        for name, _ in imports()[place]
        if _is_of_an_engine(name)
    }
    asked = {place for place, text in sources().items() if _is_other(place) and re.search(r"\bis_(sqlite|postgres)", text)}
    assert (known, asked) == (set(), set())


def test_nobody_but_an_engine_writes_a_tree_as_sql() -> None:
    """A plan holds trees; in whose words they are asked is the engine's to say. A message may show one."""
    written = {
        f"{place}:{node.lineno}"
        for place, node in nodes(r"\bdialect\b")
        if _is_other(place) and not place.startswith("sql/")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sql"
        if any(keyword.arg == "dialect" for keyword in node.keywords)
    }
    assert written == set()


def test_what_is_of_servers_still_is() -> None:
    """An entry that is no longer needed goes."""
    assert {place for place in OF_SERVERS if not any(_is_of_an_engine(name) for name, _ in imports()[place])} == set()


def _is_other(place: str) -> bool:
    """Whether a file is none of an engine's: in engines/, or in the part of its name in another room."""
    parts = place.removesuffix(".py").split("/")
    return parts[0] != "engines" and not set(parts[1:]) & set(ENGINES)


def _is_of_an_engine(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] in DRIVERS or any(
        name.startswith(f"integrity.engines.{engine}") for engine in ENGINES
    )


def test_a_database_that_is_not_there_and_one_without_tables_are_told_as_such_with_how_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations/sell.sql").write_text("select 1 from t;\n")
    (tmp_path / "invariants").mkdir()
    (tmp_path / "invariants/t.sql").write_text("-- title: t\nselect id from t where id < 0\n")
    (tmp_path / "integrity.toml").write_text('[project]\nname = "till"\n')
    monkeypatch.chdir(tmp_path)

    def told(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        assert ended.value.code == 2
        return " ".join(capsys.readouterr().err.split())

    for command in (("race", "sell", "sell"), ("validate",)):
        said = told(*command, "--database", "sqlite:///none.db")
        assert "there is no " in said
        assert "make the file with your tables in it: sqlite3 none.db < schema.sql" in said
        assert "exists and that you may write" not in said
    (tmp_path / "empty.db").touch()
    said = told("race", "sell", "sell", "--database", "sqlite:///empty.db")
    assert "there is no table in public hint: Make the tables first: sqlite3 empty.db < schema.sql" in said
