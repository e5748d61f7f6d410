"""Parameters of invariants can be given: on the command line, or for good in integrity.toml, by the declared types."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target

HIGH = """-- title: nothing is above the limit
-- parameter: most bigint = 10
-- parameter: since timestamptz = now - 1 day
select things.id, things.made_at from things where things.amount > :most and things.made_at > :since order by things.id
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Validate a database of three things, of which one is above the limit, in a project with one invariant about them."""
    target = Target.parse(f"sqlite:///{tmp_path}/things.db")
    with target.connect_sqlite() as connection:
        connection.execute("create table things (id integer primary key, amount integer, made_at text)")
        connection.execute(
            "insert into things values (1, 5, datetime('now')), (2, 11, datetime('now')), (3, 99, '2020-01-01')"
        )
    connection.close()
    (tmp_path / "invariants").mkdir()
    (tmp_path / "invariants" / "high.sql").write_text(HIGH)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--database", target.text] if words[0] == "validate" else list(words))
        said = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return run


def ids(out: str) -> list[object]:
    (judged,) = json.loads(out)["invariants"]
    return [int(row["id"]) for row in judged["rows"]]


def test_a_value_takes_the_place_of_the_default(run: Run) -> None:
    assert ids(run("validate", "--select", "high", "--json")[1]) == [2]
    assert ids(run("validate", "--select", "high", "--json", "--set", "most=20")[1]) == []
    assert ids(run("validate", "--select", "high", "--json", "--set", "since=2019-12-31")[1]) == [2, 3]
    assert ids(run("validate", "--select", "high", "--json", "--set", "most=1", "--set", "since=now - 9999 days")[1]) == [
        1,
        2,
        3,
    ]


def test_values_of_the_project_hold_until_the_command_line_says_otherwise(run: Run, tmp_path: Path) -> None:
    (tmp_path / "integrity.toml").write_text("[variables]\nmost = 1\nsince = 2019-12-31T00:00:00Z\n")
    assert ids(run("validate", "--select", "high", "--json")[1]) == [1, 2, 3]
    assert ids(run("validate", "--select", "high", "--json", "--set", "most=20")[1]) == [3]


def test_explain_shows_what_would_be_asked(run: Run, tmp_path: Path) -> None:
    assert "parameter: since timestamptz = now - 1 day" in run("explain", "high")[1]
    (tmp_path / "integrity.toml").write_text("[variables]\nmost = 7\nsince = 'now - 90 minutes'\n")
    said = run("explain", "high")[1]
    assert "parameter: most bigint = 7" in said
    assert "parameter: since timestamptz = now - 90 minutes" in said


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("moist=3", ("--set: no invariant has a parameter 'moist'", "Perhaps you meant most.", "most, since")),
        ("most=much", ("--set: most: 'much' is no bigint",)),
        ("since=soon", ("--set: since: 'soon' is no timestamptz", "or now - 15 minutes")),
        ("most", ("--set 'most': not NAME=VALUE",)),
    ],
)
def test_a_value_that_cannot_be_is_a_mistake_of_usage(run: Run, pair: str, said: tuple[str, ...]) -> None:
    code, _, error = run("validate", "--select", "high", "--set", pair)
    assert code == 2
    assert all(part in error for part in said), error


@pytest.mark.parametrize("line", ["moist = 3", "most = 'much'", "most = [1]"])
def test_settings_that_cannot_be_are_named_with_their_place(run: Run, tmp_path: Path, line: str) -> None:
    (tmp_path / "integrity.toml").write_text(f"[variables]\n{line}\n")
    code, _, error = run("validate")
    assert code == 2
    assert "integrity.toml: [variables]" in error


def test_a_parameter_without_a_default_has_the_value_that_is_given(run: Run, tmp_path: Path) -> None:
    (tmp_path / "invariants" / "high.sql").write_text(HIGH.replace("bigint = 10", "bigint"))
    code, out, _ = run("validate", "--select", "high")
    assert (code, "parameter 'most' has no default" in out, "--set most=" in out) == (3, True, True)
    assert ids(run("validate", "--select", "high", "--json", "--set", "most=10")[1]) == [2]
    (tmp_path / "integrity.toml").write_text("[variables]\nmost = 20\n")
    assert ids(run("validate", "--select", "high", "--json")[1]) == []
    (tmp_path / "invariants" / "high.sql").write_text(HIGH.replace("most", "run_id").replace("bigint = 10", "text"))
    (tmp_path / "integrity.toml").unlink()
    assert "parameter: run_id text (required)" in run("explain", "high")[1]


@pytest.mark.parametrize("default", ["9" * 30, "-9223372036854775809", "null", "-9223372036854775808"])
def test_a_default_of_any_size_is_listed(run: Run, tmp_path: Path, default: str) -> None:
    (tmp_path / "invariants" / "high.sql").write_text(HIGH.replace("bigint = 10", f"numeric = {default}"))
    code, out, _ = run("list", "--select", "high", "--json")
    (listed,) = json.loads(out)["invariants"]
    assert code == 0
    assert str(listed["parameters"][0]["default"] or "null") == default
