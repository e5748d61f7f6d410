"""A finding is a file that can be read again, by this version or not at all, and that knows what has changed since."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, CheckConstraint, Column, MetaData, Table

from integrity.errors import UsageError
from integrity.jobs.about import look_at
from integrity.jobs.replay import choose
from integrity.operation import Isolation, Unavailable
from integrity.project import find_project
from integrity.race.finding.finding import Finding, hash_tables, read_finding, return_record, write_finding
from integrity.race.finding.replay import Replay, find_differences, search_command
from integrity.race.raced import Replayed
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.report.race_json import replays_json
from integrity.report.race_text import render_finding, render_replays
from integrity.systems.system import System

READ, WRITE = "select n from boxes where id = :id", "update boxes set n = :n where id = :id"


def make_metadata(*, is_checked: bool = True) -> MetaData:
    metadata = MetaData()
    check = [CheckConstraint("n >= 0", name="boxes_n_not_negative")] if is_checked else []
    Table("boxes", metadata, Column("id", BigInteger, primary_key=True), Column("n", BigInteger), *check)
    return metadata


def make_system(metadata: MetaData) -> System:
    return System(name="boxes", title="", metadata=metadata, operations={}, services={}, pools={})


def make_finding(**changes: Any) -> Finding:
    fields: dict[str, Any] = {
        "system": "boxes",
        "bug": "lost_update",
        "isolation": Isolation.REPEATABLE_READ,
        "seed": 7,
        "schedule": "AB",
        "letters": "ABBAA",
        "preemptions": 1,
        "alarms": [{"oracle": "invariant", "name": "boxes/sum", "rows": [{"id": 1}]}],
        "calls": {
            "A": {"operation": "add", "arguments": {"box_id": "boxes_1", "n": 5}, "returned": {"ok": {}}},
            "B": {"operation": "take", "arguments": {"box_id": "boxes_1"}, "returned": {"declined": "empty"}},
        },
        "keys": {"boxes_1": 41},
        "events": [
            {"actor": actor, "phase": phase, "sql": sql}
            for actor, phase, sql in (
                ("A", "done", READ),
                ("B", "waits", WRITE),
                ("B", "resumed", WRITE),
                ("A", "done", "commit"),
            )
        ],
        "tables": hash_tables(make_metadata(), dropped=frozenset()),
        "schedules_played": 3,
        "seconds": 0.1,
        "anomaly": "P4",
        "explanation": ["lost update"],
        "timeline": [],
    }
    return Finding(**{**fields, **changes})


def test_a_finding_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_finding(make_finding(), tmp_path / "races" / "one.json")
    assert read_finding(tmp_path / "races" / "one.json") == make_finding()


def test_a_call_that_was_unavailable_is_kept_and_shown_with_its_reason() -> None:
    call = {
        "operation": "take",
        "arguments": {"box_id": "boxes_1"},
        "returned": return_record(Unavailable("store_did_not_answer")),
    }

    assert "  A = take(box_id=boxes_1) → unavailable: store_did_not_answer" in render_finding(
        make_finding(calls={"A": call, "B": {**call, "returned": {"declined": "empty"}}})
    )


def test_a_finding_names_its_file_and_the_command_that_looks_for_it() -> None:
    assert make_finding().name == "boxes-lost_update-add-take-repeatable_read"
    assert make_finding(bug=None, isolation=Isolation.READ_COMMITTED).name == "boxes-add-take"
    assert search_command(make_finding()) == (
        "integrity race boxes add take --bug lost_update --isolation 'repeatable read'"
    )


@pytest.mark.parametrize(
    ("change", "reason", "next_step"),
    [
        ({"format": 2, "version": "9.1"}, "it has format 2, this version reads format 1", "Replay it with integrity 9.1"),
        ({"format": None, "version": None}, "it has no format", ""),
        ({"isolation": "snapshot"}, "isolation: ", "find the race anew"),
        ({"colour": "red"}, "colour: ", "find the race anew"),
        ({"letters": 5}, "letters: ", "find the race anew"),
    ],
)
def test_a_file_that_is_no_finding_of_this_version_says_why(
    tmp_path: Path, change: dict[str, Any], reason: str, next_step: str
) -> None:
    file = tmp_path / "finding.json"
    file.write_text(json.dumps({**json.loads(make_finding().encode()), **change}))
    with pytest.raises(UsageError) as raised:
        read_finding(file)
    assert raised.value.message.startswith(f"{file}: ")
    assert reason in raised.value.message
    assert next_step in (raised.value.hint or "")


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", '"format"'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "finding.json"
    file.write_text(content)
    with pytest.raises(UsageError, match="finding"):
        read_finding(file)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "races").write_text("a file")
    with pytest.raises(UsageError, match=r"races.*cannot be written"):
        write_finding(make_finding(), tmp_path / "races" / "one.json")


@pytest.mark.parametrize(
    ("is_back", "others", "why_unknown", "code"),
    [
        (False, (), "", 0),
        (True, (), "", 1),
        (False, ("serial equivalence",), "", 1),
        (True, ("boxes/limit",), "", 1),
        (False, (), "no call changed a row", 3),
    ],
)
def test_a_replay_is_right_only_where_nothing_goes_wrong_whatever_it_is_called(
    is_back: bool, others: tuple[str, ...], why_unknown: str, code: int
) -> None:
    right = Replay("ABBAA", is_back=False, others=(), course="", statements={})
    last = replace(right, is_back=is_back, others=others, why_unknown=why_unknown)
    replayed = Replayed("one", ["boxes/sum"], [right, last])
    assert replayed.exit_code == code
    assert replays_json(replayed)["went_wrong"] == int(code == 1)
    for text in (replayed.text, render_replays(replayed)):
        assert f"came back {int(is_back)} of 2 times" in text
        assert all(f"it went wrong in another way: {name}" in text for name in others)


def make_replay(statements: dict[str, list[str]]) -> Replay:
    return Replay(letters="ABBAA", is_back=True, others=(), course="", statements=statements)


def test_nothing_differs_where_nothing_has_changed() -> None:
    replayed = make_replay({"A": [READ, "commit"], "B": [WRITE]})
    assert find_differences(make_finding(), make_system(make_metadata()), replayed, dropped=frozenset()) == []


def test_an_altered_table_and_the_first_altered_statement_of_a_call_are_named() -> None:
    system = make_system(make_metadata(is_checked=False))
    replayed = make_replay({"A": [f"{READ} for update", "rollback"], "B": [WRITE, "commit"]})
    assert find_differences(make_finding(), system, replayed, dropped=frozenset()) == [
        "table boxes is defined otherwise",
        f"A = add: statement 1 was `{READ}`, is `{READ} for update`",
        "B = take: statement 2 was not there, is `commit`",
    ]


def test_a_table_without_a_dropped_constraint_has_another_hash_than_with_it() -> None:
    whole = hash_tables(make_metadata(), dropped=frozenset())
    without = hash_tables(make_metadata(), dropped=frozenset({"boxes.boxes_n_not_negative"}))
    assert whole != without == hash_tables(make_metadata(is_checked=False), dropped=frozenset())


def test_hashes_are_the_same_each_time() -> None:
    """SQLAlchemy keeps constraints in sets, whose order is another one in each process and with each copy."""
    hashes = [hash_tables(GHOSTPASS.metadata, dropped=frozenset()) for _ in range(5)]
    assert all(each == hashes[0] for each in hashes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, ["it calls the operation 'sell', which is not there any more", "The operations of till are: buy."]),
        ("begin;\nselect 1;", ["it calls the operation 'sell', which cannot be used: ", "the transaction is never ended"]),
        ("select 1;", ["it calls sell with n, and sell takes none by now", "integrity race till sell sell"]),
    ],
)
def test_a_finding_whose_operation_is_another_one_by_now_says_which_and_is_not_offered(
    tmp_path: Path, text: str | None, said: list[str]
) -> None:
    operations, races = tmp_path / "operations", tmp_path / ".integrity/races"
    operations.mkdir()
    for name in ("sell", "buy"):
        (operations / f"{name}.sql").write_text("-- parameter n: integer 1..2\nselect 1 from t where n = :n;\n")
    (tmp_path / "integrity.toml").write_text('[project]\nname = "till"\n')
    call = {"operation": "sell", "arguments": {"n": 1}, "returned": {"ok": {}}}
    found = {"system": "till", "reference": "operations", "bug": None, "isolation": Isolation.READ_COMMITTED}
    write_finding(make_finding(**found, calls={"A": call, "B": call}), races / "newest.json")
    project = find_project(tmp_path)
    assert choose(project, Path("newest")).finding is not None
    assert look_at(project).last_race.endswith("integrity replay .integrity/races/newest.json")
    (operations / "sell.sql").unlink()
    if text is not None:
        (operations / "sell.sql").write_text(text)
    with pytest.raises(UsageError) as raised:
        choose(project, Path("newest"))
    assert str(raised.value).startswith(str(races / "newest.json"))
    assert all(each in str(raised.value) for each in said), raised.value
    assert look_at(project).last_race == ".integrity/races/newest.json, which cannot be played any more"
    buying = {**call, "operation": "buy"}
    write_finding(make_finding(**found, calls={"A": buying, "B": buying}), races / "older.json")
    os.utime(races / "older.json", (1, 1))
    assert look_at(project).last_race.endswith("integrity replay .integrity/races/older.json")
