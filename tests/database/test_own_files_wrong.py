"""What is wrong in one file of operations makes that operation unusable: told with its line, while the others go on."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target

TABLES = """
create table rooms (id integer primary key, free integer not null check (free >= 0), note text);
create table bookings (room_id integer not null references rooms, nights integer);
"""
SOUND = "-- title: sound\n-- parameter room: key of rooms\nupdate rooms set free = free + 1 where id = :room;\n"
HEADER = "-- title: wrong\n-- parameter room: key of rooms\n"
WRONG = {
    "row_table": ("-- row one: roms(free = 1)", "3: the database has no table roms", "roms"),
    "row_column": ("-- row one: rooms(note = 'free', fre = 1)", "3: row 'one': table rooms has no column fre", "fre "),
    "row_value": ("-- row one: rooms(note = 'x', free = free_of(1))", "3: row 'one': ", "free_of"),
    "row_check": ("-- row one: rooms(note = 'x', free = -1)", "3: row 'one': the values that are given are", "free"),
    "row_reference": (
        "-- row one: rooms(free = 1)\n-- row two: bookings(room_id = :one.idd)",
        "4: row 'two': row one has no column idd",
        "idd",
    ),
    "row_continued": ("-- row one: rooms(note = 'x',\n--   fre = 1)", "4: row 'one': table rooms has no", "fre"),
    "key_table": ("-- parameter other: key of romms", "3: the database has no table romms", "romms"),
    "key_none": ("-- parameter other: key of bookings", "3: table bookings has no primary key", "bookings"),
    "key_query": ("-- parameter other: key of (select id from rooms where free > 9)", "3: operation key_query: no row", ""),
    "statement": ("select nosuch from rooms;", "3: ", "nosuch"),
    "text": ("-- parametr other: key of rooms", "3: unknown header key 'parametr'", "parametr"),
}
TYPED = {
    "row_type": ("-- row two: bookings(nights = 'many')", "3: row 'two': nights = 'many': invalid input", "'many'"),
    "row_refused": ("-- row two: bookings(nights = 13)", "3: row 'two' of bookings was refused: thirteen", "row"),
}
"""What a database with types and functions tells, too."""
TRIGGER = """
create function refuse() returns trigger language plpgsql as $$ begin
    if new.nights = 13 then raise exception 'thirteen'; end if; return new; end $$;
create trigger refused before insert on bookings for each row execute function refuse();
"""

Integrity = Callable[..., tuple[int, str]]


@pytest.fixture
def integrity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Integrity:
    """Run a command in an empty project; gives its code and all that it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("operations").mkdir()

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, f"{captured.out}{captured.err}"

    return run


def write(name: str, said: str) -> None:
    other = " and :other is not null" if ":" in said and "parameter other" in said else ""
    body = f"update rooms set free = free + 1 where id = :room{other};\n"
    Path(f"operations/{name}.sql").write_text(f"{HEADER}{said}\n{body}", encoding="utf-8")


def make_sqlite(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
    return f"sqlite:///{path}"


def check(told: str, name: str, place: str, word: str) -> None:
    """Check that an operation is left out for its place, with a caret at the word."""
    begun = f"{name} is left out: operations/{name}.sql:{place}"
    assert begun in told, told
    if word:
        _, line, caret = told[told.index(begun) :].splitlines()[:3]
        assert line[caret.index("^") :].startswith(word), told


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_file_with_anything_wrong_is_left_out_alone(
    engine: str, integrity: Integrity, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, wrong = f"sqlite:///{tmp_path}/shop.db", WRONG
    if engine == "postgresql":
        database: Target = request.getfixturevalue("database")
        url, wrong = database.text, {**WRONG, **TYPED}
        with database.connect() as connection:
            connection.execute(TABLES + TRIGGER)
    else:
        make_sqlite(tmp_path / "shop.db")
    Path("operations/sound.sql").write_text(SOUND, encoding="utf-8")
    for name, (said, _, _) in wrong.items():
        write(name, said)

    code, told = integrity("race", "--database", url)

    assert (code, "sound + sound  sound " in told) == (0, True), told
    for name, (_, place, word) in wrong.items():
        check(told, name, place, word)
    assert told.count(" is left out: ") == len(wrong), told
    code, told = integrity("race", "row_column", "--database", url)
    assert (code, "operations/row_column.sql:3: row 'one': table rooms has no column fre\n  3 | " in told) == (2, True), (
        told
    )


def test_what_is_wrong_in_another_file_leaves_run_and_reproduce_alone(integrity: Integrity, tmp_path: Path) -> None:
    url = make_sqlite(tmp_path / "shop.db")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.executescript("insert into rooms (id, free) values (1, 1)")
    Path("integrity.toml").write_text(f'[project]\nname = "hotel"\n[database]\nurl = "{url}"\ntest = "shop.db"\n')
    Path("operations/book.sql").write_text(SOUND.replace("free + 1", "free + 1, note = 'twice'"), encoding="utf-8")
    Path("invariants").mkdir()
    Path("invariants/no-note.sql").write_text(
        "-- title: no room has a note\nselect id as room, note from rooms where note is not null", encoding="utf-8"
    )
    write("key_table", WRONG["key_table"][0])
    write("row_column", WRONG["row_column"][0])

    code, told = integrity("run", "smoke", "--duration", "0.9s")
    assert code in (0, 1), told
    for name in ("key_table", "row_column"):
        check(told, name, *WRONG[name][1:])
    assert "System(" not in told
    assert told.count("\nnot run: ") == 2, told
    assert "not measured" not in told  # it is shortened, and so not there to touch everything
    integrity("validate")
    code, told = integrity("reproduce", "no-note")

    assert code == 1, told
    for name in ("key_table", "row_column"):
        check(told, name, *WRONG[name][1:])


def test_what_was_not_run_is_unknown_where_everything_is_to_be_touched(integrity: Integrity, tmp_path: Path) -> None:
    """A file that nobody can play, beside a good one, in a run as long as its plan: its result says so, and is no pass."""
    url = make_sqlite(tmp_path / "shop.db")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.executescript("insert into rooms (id, free) values (1, 1)")
    Path("integrity.toml").write_text(f'[project]\nname = "hotel"\n[database]\nurl = "{url}"\ntest = "shop.db"\n')
    Path("operations/book.sql").write_text(SOUND, encoding="utf-8")
    with Path("integrity.toml").open("a", encoding="utf-8") as settings:
        settings.write('[profiles.hotel.touch]\nextends = "smoke"\nduration_s = 0.5\ntouches_all = true\n')
    Path("operations/broken.sql").write_text("begin;\nupdate rooms set free = 1;\n", encoding="utf-8")
    reason = "operations/broken.sql:1: the transaction is never ended"
    touch = ("run", "touch", "--rate", "100")

    code, told = integrity(*touch)

    assert (code, f"\nnot run: broken: {reason}\n" in told) == (3, True), told
    assert "\nnot measured  broken answered " in told, told
    (written,) = Path(".integrity/runs").glob("*/result.json")
    result = json.loads(written.read_text(encoding="utf-8"))
    assert result["not_run"] == [{"operation": "broken", "reason": reason}]

    Path("operations/broken.sql").unlink()
    code, told = integrity(*touch)
    assert (code, "not run" in told) == (0, False), told
