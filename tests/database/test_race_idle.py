"""A race in which no call was accepted, or no row changed, proves nothing: it is unknown, and says which row to write."""

import json
import os
import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target

Command = Callable[..., tuple[int, str]]

TABLES = """
create table events (id bigint generated always as identity primary key, name text not null,
    seats_left int not null check (seats_left >= 0));
create table lots (id bigint generated always as identity primary key, state text not null default 'shut',
    taken int not null default 0, capacity int not null default 0, check (taken <= capacity));
"""
TAKE = """-- title: take
-- parameter event_id: key of events
-- parameter seats: integer 2..4
begin;
select seats_left from events where id = :event_id \\gset
-- decline sold_out unless seats_left >= :seats
update events set seats_left = {left} - :seats where id = :event_id;
commit;
"""
LOST, GUARDED = (
    TAKE.format(left=":seats_left"),
    TAKE.format(left="seats_left").replace(":event_id \\g", ":event_id for update \\g"),
)
ALL = "update events set seats_left = :s - 1;\n"
OPERATIONS = {
    "take": LOST,
    "take_guarded": GUARDED,
    "oversell": TAKE.format(left="seats_left"),
    "take_none": LOST.replace("begin", "-- row last: events(seats_left = 0)\nbegin"),
    "take_all": f"select coalesce(sum(seats_left), 0) as s from events \\gset\n{ALL}",
    "hold": "-- title: hold\n-- row last: events(seats_left = 50)\n-- parameter event_id: key of events\n"
    "update events set seats_left = seats_left - 1 where id = :event_id;\n",
    "read": "-- parameter event_id: key of events\nselect seats_left from events where id = :event_id;\n",
    "refuse": "-- parameter event_id: key of events\n-- row last: events(seats_left = 0)\nselect seats_left from events"
    " where id = :event_id \\gset\n-- decline sold_out unless seats_left >= 1\n",
    "some": "-- parameter kind: choice none, one\n-- row last: events(name = 'one', seats_left = 9)\n"
    "update events set seats_left = seats_left - 1 where name = :'kind';\n",
    "park": "-- parameter lot: key of lots\n-- parameter cars: integer 1..3\nbegin;\n"
    "select state, taken as already, capacity from lots where id = :lot \\gset\n"
    "-- decline shut if state <> 'open'\n-- decline full if already + :cars > capacity\n"
    "update lots set taken = :already + :cars where id = :lot;\ncommit;\n",
}
SILENT = """import sqlite3
from integrity.systems.brief import operation_of, system_of
ALL = "update events set seats_left = seats_left - 1"
def nothing(connection):
    connection.commit()
def own(connection):
    with sqlite3.connect("other.db") as other:
        other.execute("create table if not exists events as select 1 as seats_left")
        other.execute(ALL)
    other.close()
def loop(connection, times=0):
    for _ in range(times):
        connection.execute(ALL)
def sell(connection):
    connection.execute(ALL)
    connection.commit()
def look(connection):
    connection.execute("select seats_left from events").fetchall()
quiet = system_of("quiet", *map(operation_of, (nothing, own, loop, sell, look)), rows=["event: events(seats_left = 9)"])
"""


@pytest.fixture(params=["postgresql", "sqlite"])
def integrity(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run a command in a project with these operations; gives its code and all that it printed."""
    is_sqlite = request.param == "sqlite"
    if is_sqlite:
        url = f"sqlite:///{tmp_path / 'it.db'}"
        with closing(sqlite3.connect(tmp_path / "it.db")) as connection:
            connection.executescript(TABLES.replace("bigint generated always as identity", "integer"))
    else:
        target: Target = request.getfixturevalue("database")
        url = target.text
        with target.connect() as server:
            server.execute(TABLES)
    folder = tmp_path / "operations"
    folder.mkdir()
    for name, text in OPERATIONS.items():
        is_locked = is_sqlite and "for update" in text
        (folder / f"{name}.sql").write_text(text.replace(" for update", "") if is_locked else text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", url)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, f"{captured.err}{captured.out}"

    return run


def test_what_no_call_did_anything_in_is_not_sound(integrity: Command) -> None:
    """Every call declines; a sum over no row is written to none; a call that is accepted, and only reads, is raced."""
    code, told = integrity("race", "take_none", "take_none", "--preemptions", "0")
    flat = " ".join(told.split())
    assert (code, "Every call was declined: sold_out, in all" in flat, "; nothing was raced." in flat) == (3, True, True), (
        told
    )
    assert "\n  -- row event: events(seats_left = 8)\n" in told
    assert "inconclusive" in told
    code, told = integrity("race", "take_all", "take_all", "--json", "--preemptions", "0")
    (group,) = json.loads(told[told.index("{") :])["groups"]
    (choice,) = group["choices"]
    assert (code, group["verdict"], choice["verdict"]) == (3, "unknown", "unknown")
    assert choice["idle"]["reason"].startswith("no statement changed a row, in all ")
    assert choice["idle"]["rows"] == ["-- row event: events(seats_left = 2)"]
    assert integrity("race", "refuse", "refuse", "--preemptions", "0")[0] == 3
    about = " ".join(integrity()[1].split())
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d"
    assert re.search(rf"last race {when} \w+: refuse \+ refuse: inconclusive .* 1 pair race", about), about
    assert "race found none" in about
    code, told = integrity("race", "take_none", "take_none", "--schedule", "AB")
    assert (code, "declined: sold_out, in the one schedule; nothing was raced" in " ".join(told.split())) == (3, True), told
    assert told.endswith("such as:\n  -- row event: events(seats_left = 8)\n")
    code, told = integrity("race", "take_all", "take_all", "--schedule", "AB", "--json")
    assert (code, json.loads(told[told.index("{") :])["idle"]["rows"]) == (3, choice["idle"]["rows"]), told
    assert integrity("race", "read", "read", "--preemptions", "0")[0] == 0
    assert ": read + read: sound " in " ".join(integrity()[1].split())
    assert integrity("race", "read", "take_none", "--preemptions", "0")[0] == 0


def test_what_a_function_changes_that_a_query_calls_is_a_change(integrity: Command) -> None:
    """It was taken for a race in which no row changed, unknown, whatever the function did."""
    if "sqlite" in os.environ["INTEGRITY_DATABASE_URL"]:  # which has no functions of SQL
        return
    for name, body in (("grow", "insert into lots (taken) values (0) returning taken"), ("look", "select 1")):
        with Target.parse(os.environ["INTEGRITY_DATABASE_URL"]).connect() as server:
            server.execute(f"create function {name}() returns int language sql volatile as '{body}'".encode())
        Path(f"operations/{name}.sql").write_text(f"begin;\nselect {name}() as n \\gset\n{ALL.replace(':s', '3')}commit;\n")
        code, told = integrity("race", name, name, "--preemptions", "0")
        assert (code, "no statement changed a row" in told.lower()) == ((0, False) if name == "grow" else (3, True)), told


def test_rows_that_are_made_have_what_calls_ask_of_them(integrity: Command) -> None:
    """A keyed table needs no row: what its columns have suffices for one call, also where a default does not."""
    is_sqlite = "sqlite" in os.environ["INTEGRITY_DATABASE_URL"]  # there `begin` takes the write lock: all are sound
    for name, anomaly in (("take", "P4"), ("park", "P4"), ("oversell", "none"), ("take_guarded", None)):
        code, told = integrity("race", name, name, "--json")
        raced = json.loads(told[told.index("{") :])
        is_sound = is_sqlite or anomaly is None
        assert (code, raced["groups"][0]["verdict"]) == ((0, "holds") if is_sound else (1, "violated")), told
        assert raced["groups"][0]["choices"][0]["idle"] is None, told
        # At once in the first row; what takes more than there is in the second.
        wrong = [number for number, each in enumerate(raced["groups"][0]["choices"]) if each["verdict"] == "violated"]
        assert wrong[:1] == ([] if is_sound else [int(name == "oversell")]), told
        assert [each["anomaly"] for each in raced["findings"]] == ([] if is_sound else [anomaly]), told


def test_a_written_row_that_violates_an_invariant_leaves_nothing_sound_and_is_named(integrity: Command) -> None:
    Path("invariants").mkdir()
    Path("invariants/few.sql").write_text(
        "-- title: few are left\nselect id, seats_left from events where seats_left > 45\n"
    )
    code, told = integrity("race", "hold", "hold", "--preemptions", "0", "--json")
    raced = json.loads(told[told.index("{") :])
    assert (code, raced["groups"][0]["verdict"], raced["findings"]) == (3, "unknown", []), told
    (left_out,) = raced["left_out"]
    assert (left_out["name"], left_out["row"]) == ("few", "operations/hold.sql:2: row 'last'"), told
    code, told = integrity("race", "hold", "hold", "--preemptions", "0")
    assert "inconclusive" in told
    assert "an invariant was not asked in 1 of 1 pair" in " ".join(told.split())
    assert "\n  operations/hold.sql:2: row 'last' is in a table that it asks" in told
    Path("operations/hold.sql").write_text(OPERATIONS["hold"].replace("= 50", "= 40"))
    assert integrity("race", "hold", "hold", "--preemptions", "0")[0] == 0


def test_choices_with_which_nothing_was_raced_leave_the_verdict_to_the_others(integrity: Command) -> None:
    code, told = integrity("race", "some", "some", "--json", "--preemptions", "0")
    (group,) = json.loads(told[told.index("{") :])["groups"]
    idle = [bool(each["idle"]) for each in group["choices"]]
    assert (code, group["verdict"], any(idle), all(idle)) == (0, "holds", True, False), told
    _, told = integrity("race", "some", "some", "--preemptions", "0")
    assert "\nidle" in f"\n{told}"
    assert "nothing was raced" in " ".join(told.split())


@pytest.mark.parametrize("integrity", ["sqlite"], indirect=True)
def test_a_call_that_makes_no_statement_is_raced_with_nobody(integrity: Command) -> None:
    """It was "sound", "0 of 0 pairs", whatever it does by a connection of its own."""
    Path("silent.py").write_text(SILENT)
    Path("integrity.toml").write_text('[systems]\nquiet = "silent:quiet"\n')
    sys.modules.pop("silent", None)
    for names in (("nothing", "own"), ("own", "sell"), ("loop", "sell")):
        silent = " and ".join(name for name in names if name != "sell")
        code, told = integrity("race", *names, "--preemptions", "0")
        flat = " ".join(told.split())
        assert (code, f"No statement was made by {silent}, in " in flat, "inconclusive" in flat) == (3, True, True), told
        assert f"let {silent} use the connection that it is given" in flat, told
        code, told = integrity("race", *names, "--schedule", "AB", "--json")  # of a call that has no letter
        played = json.loads(told[told.index("{") :])
        assert (code, played["idle"]["rows"]) == (3, []), told
        assert played["idle"]["reason"].startswith(f"no statement was made by {silent}, in the one schedule"), told
    assert integrity("race", "look", "sell", "sell", "--preemptions", "0")[0] == 0
    assert integrity("race", "sell", "sell", "--schedule", "AAAAAAAB")[0] == 2
    code, told = integrity("race", "quiet", "--preemptions", "0", "--json")
    verdicts = {tuple(each["operations"]): each["verdict"] for each in json.loads(told[told.index("{") :])["groups"]}
    meeting = {"sell", "look"}
    assert (code, verdicts) == (
        3,
        {names: "holds" if meeting.issuperset(names) else "unknown" for names in verdicts},
    ), told
