"""A file of isolationtester's in `operations/` is raced as it is: its sessions are operations, on the rows of its setup."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.race.judge.oracles import Oracle

SPECS = Path(__file__).parent / "specs"

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command in a project with some specs, beside a database without tables; gives its code and what it printed."""
    (tmp_path / "operations").mkdir()
    for name in ("deadlock-of-two", "child-and-parent-deleted"):
        shutil.copy(SPECS / f"{name}.spec", tmp_path / "operations")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    return run


def test_what_its_permutations_show_is_found_without_them(integrity: Command, tmp_path: Path) -> None:
    path = tmp_path / "operations/deadlock-of-two.spec"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("permutation")))
    code, printed, _ = integrity("race", "deadlock_of_two", "one", "two", "--json")
    found: dict[str, Any] = json.loads(printed)
    (kept,) = found["findings"]
    assert code == 1
    assert [alarm["oracle"] for alarm in kept["alarms"]] == [Oracle.DEADLOCK]
    assert kept["reference"] == "operations/deadlock-of-two.spec"
    code, told, _ = integrity("replay", kept["file"], "--times", "2")
    assert (code, "came back 2 of 2 times" in told) == (1, True)


def test_sessions_that_do_no_harm_are_silent_on_the_rows_of_its_setup(integrity: Command) -> None:
    code, printed, _ = integrity("race", "child_and_parent_deleted", "one", "two", "--json")
    (group,) = json.loads(printed)["groups"]
    assert (code, group["verdict"]) == (0, "holds")
    assert group["choices"][0]["lock_waits"] > 0  # the parent is there


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("session one", "session", "deadlock-of-two.spec:"),
        ("begin;", "begin; \\echo hello\n", "deadlock-of-two.spec: session one:1: \\echo is not carried out here"),
        ("create table", "create tabel", 'deadlock-of-two.spec: its setup is refused: syntax error at or near "tabel"'),
    ],
)
def test_a_file_with_a_mistake_is_told_with_its_place(
    integrity: Command, tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "operations/deadlock-of-two.spec"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    code, _, told = integrity("race", "deadlock_of_two")
    assert (code, said in told) == (2, True), told
    assert integrity("race", "child_and_parent_deleted", "two", "--preemptions", "0")[0] == 0


WAGON = """
setup { create table wagon (no int primary key, load int not null); insert into wagon values (1, 60), (2, 60); }
session one
setup { begin isolation level repeatable read; }
step look_one { select sum(load) from wagon; }
step take_one { update wagon set load = load - 60 where no = 1; }
step end_one { commit; }
session two
setup { begin isolation level repeatable read; }
step look_two { select sum(load) from wagon; }
step take_two { update wagon set load = load - 60 where no = 2; }
step end_two { commit; }
"""


def test_the_rows_that_a_step_is_given_are_answers(integrity: Command, tmp_path: Path) -> None:
    (tmp_path / "operations/wagon.spec").write_text(WAGON)
    code, printed, _ = integrity("race", "wagon", "one", "two")
    assert (code, "answers apart" in printed, "B read sum 120, not 60" in printed) == (0, True, True)
    code, printed, _ = integrity("race", "wagon", "one", "two", "--schedule", "ABAB", "--strict-replies")
    assert (code, printed.splitlines()[0]) == (1, "race  wagon  repeatable read")
