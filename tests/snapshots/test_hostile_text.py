"""Text from elsewhere that a terminal would obey: wherever it is shown, it is spelt out, and machine formats stay whole."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest
from psycopg import sql

from integrity.engines.target import Target
from tests.snapshots.conftest import Run

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\u2066\x9b31m\x7f"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SPELT = re.escape("\\x1b]0;owned")


@pytest.fixture
def hostile(run_here: Run, database: Target, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A project and a database in which every name and title is hostile; give a runner that looks at all it prints."""
    with database.connect() as connection:
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(HOSTILE)))
        names = sql.Identifier(HOSTILE, f"table {HOSTILE}"), sql.Identifier(f"column {HOSTILE}")
        connection.execute(sql.SQL("create table {} ({} text)").format(*names))
        connection.execute(sql.SQL("insert into {} values ({})").format(names[0], sql.Literal(HOSTILE)))
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    Path("invariants").mkdir()
    Path("invariants/hostile.sql").write_text(
        f'-- title: a {HOSTILE} b\nselect "column {HOSTILE}" as "{HOSTILE}" from "{HOSTILE}"."table {HOSTILE}"\n',
        newline="",
    )
    Path("integrity.toml").write_text(
        f"[profiles.ghostpass.mine]\nextends = 'hammer'\ntitle = {json.dumps(HOSTILE)}\n"
        f"[suites.mine]\ntitle = {json.dumps(HOSTILE)}\nsteps = [{{profile = 'smoke'}}]\n"
    )

    def run(*words: str) -> tuple[int, str, str]:
        code, out, err = run_here(*words)
        for text in (out, err):
            found = OBEYED.search(text.replace("\n", "").replace("\t", ""))
            assert not found, f"{found and found[0]!r} in {text!r}"
        return code, out, err

    return run


SHOWN = [
    ("list", 0, "out"),
    ("list --json", 0, ""),
    ("explain hostile", 0, "out"),
    ("explain hostile --json", 0, ""),
    ("validate --select hostile", 1, "out"),
    ("validate --select hostile --plan", 0, ""),
    ("validate --select hostile --json", 1, ""),
    ("validate --select hostile --format markdown", 1, ""),
    ("seed --system ghostpass", 2, "err"),
    ("rollback --dry-run", 0, ""),
    ("rollback --yes", 0, ""),
    ("run mine", 2, "err"),
    ("suite mine --plan --system ghostpass", 0, "out"),
    ("health", 0, "out"),
    ("health --json", 0, ""),
    ("snapshot s", 2, "err"),
]


@pytest.mark.parametrize(("line", "code", "where"), SHOWN, ids=[each[0] for each in SHOWN])
def test_what_a_terminal_would_obey_is_spelt_out(hostile: Run, line: str, code: int, where: str) -> None:
    ended = hostile(*line.split())
    assert ended[0] == code, ended
    if where:
        assert re.search(SPELT, ended[1] if where == "out" else ended[2]), "it is shown, not left out"
    if "--json" in line:
        json.loads(ended[1])


def test_what_a_server_says_of_a_query_is_spelt_out(hostile: Run) -> None:
    Path("invariants/hostile.sql").write_text(f'-- title: t\nselect 1 as x from "{HOSTILE}"\n', newline="")
    code, out, _ = hostile("validate", "--select", "hostile", "--json")
    assert code == 3
    assert json.loads(out)["invariants"][0]["verdict"] == "unknown"
    assert "owned" in json.loads(out)["invariants"][0]["reason"]


def test_a_report_in_a_file_stays_what_its_format_is(hostile: Run) -> None:
    for name in ("json", "junit", "markdown"):
        assert hostile("validate", "--select", "hostile", "--format", name, "--output", f"report.{name}")[0] == 1
    [row] = json.loads(Path("report.json").read_text())["invariants"][0]["rows"]
    assert row[HOSTILE] == HOSTILE, "JSON has the value itself"
    suite = ElementTree.parse("report.junit")  # noqa: S314 - of our own making
    assert "owned" in ElementTree.tostring(suite.getroot(), encoding="unicode")
    markdown = Path("report.markdown").read_text()
    assert not OBEYED.search(markdown.replace("\n", ""))
    assert "x1b]0;owned" in markdown


def test_a_message_of_the_servers_is_spelt_out(hostile: Run, database: Target) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(Target(database.url.set(database=HOSTILE)).text)
    code, _, err = hostile("validate", "--database", Target(database.url.set(database=HOSTILE)).text)
    assert code == 2
    assert "owned" in err
