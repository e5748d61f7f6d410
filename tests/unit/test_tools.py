"""Tools of `integrity mcp` are commands: what they are given is a value of theirs, and never an option."""

import sys
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.cli.tools import ToolRefused, Tools


@pytest.fixture
def shop(tmp_path: Path) -> Tools:
    """A project with one invariant, on a database that has one table."""
    import sqlite3

    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table accounts (id integer primary key, balance integer)")
        connection.execute("insert into accounts values (1, -5)")
    connection.close()
    (tmp_path / "invariants").mkdir()
    (tmp_path / "invariants/a.sql").write_text("-- title: one\nselect id from accounts where balance < 0 order by id\n")
    return Tools(tmp_path, f"sqlite:///{tmp_path / 'shop.db'}")


def test_what_a_tool_is_given_is_taken_for_no_option(shop: Tools, tmp_path: Path) -> None:
    with pytest.raises(ToolRefused, match=f"no invariant fits '--output={tmp_path}/x'"):
        shop.validate([f"--output={tmp_path}/x"])
    assert not (tmp_path / "x").exists()


def test_without_leave_to_write_no_tool_makes_anything(shop: Tools, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert shop.about()["result"]["invariant_count"] == 1
    assert shop.explain_invariant("a")["result"]["query"].startswith("select id")
    judged = shop.validate(["a"])
    assert (judged["exit_code"], judged["result"]["invariants"][0]["rows"]) == (1, [{"id": 1}])
    assert sorted(tmp_path.rglob("*")) == before


def test_the_extra_that_is_missing_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(SystemExit) as ended:
        main(["mcp"])
    assert ended.value.code == 2
    assert "pip install 'mcp>=2,<3'" in capsys.readouterr().err


def test_the_skill_names_commands_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    import re

    from integrity.cli.main import COMMANDS

    with pytest.raises(SystemExit) as ended:
        main(["skill"])
    out = capsys.readouterr().out
    named = re.findall(r"^\$ integrity (\w+)", out, re.MULTILINE)
    assert (ended.value.code, set(named) - set(COMMANDS)) == (0, set())
    assert {"init", "new", "validate", "race", "replay"} <= set(named)
