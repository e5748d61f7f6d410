"""What is tried against a race on SQLite: an index, one transaction around the call; nothing where nothing goes wrong."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.events import listen
from integrity.jobs.findings import Wanted, invariants_of, keep, system_on
from integrity.project import find_project
from integrity.race.finding.finding import read_finding
from integrity.race.search.settings import RaceSettings, RaceSubject
from integrity.registry import Registry

URL = "sqlite:///shop.db"
SCHEMA = """
create table owners (id integer primary key, name text not null);
create table claims (id integer primary key, owner_id integer not null references owners);
"""
CLAIM = """-- title: claim once
-- parameter owner: key of owners
-- row ada: owners(name = 'Ada')
-- row bob: owners(name = 'Bob')
{begin}select count(*) as n from claims where owner_id = :owner \\gset
-- decline claimed unless n = 0
insert into claims (owner_id) values (:owner);
{end}"""
CLAIMED_ONCE = """-- title: an owner claims once
select owner_id, count(*) as n from claims group by owner_id having count(*) > 1 order by owner_id
"""

Race = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Race:
    """Race an operation with itself on a file; gives the exit code and the result."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)
    Path("integrity.toml").write_text(f'[project]\nname = "shop"\n[database]\nurl = "{URL}"\n')
    for name, text in (("invariants/rule.sql", CLAIMED_ONCE), ("operations/claim.sql", "")):
        Path(name).parent.mkdir()
        Path(name).write_text(text)
    with closing(sqlite3.connect("shop.db")) as connection:
        connection.executescript(SCHEMA)

    def run(operation: str) -> tuple[int, dict[str, Any]]:
        Path("operations/claim.sql").write_text(operation)
        with pytest.raises(SystemExit) as ended:
            main(["race", "claim", "claim", "--json"])
        assert isinstance(ended.value.code, int)
        return ended.value.code, json.loads(capsys.readouterr().out)

    return run


def test_what_is_tried_on_sqlite_helps_when_it_is_pasted_and_is_told_only_of_a_schedule_that_goes_wrong_without_it(
    race: Race,
) -> None:
    code, raced = race(CLAIM.format(begin="", end=""))
    index, transaction = raced["findings"][0]["cures"]
    for_both = "prevented for both choices of arguments tried: "
    assert code == 1
    assert index["sql"] == "CREATE UNIQUE INDEX claims_owner_id_key ON claims (owner_id)"
    assert index["verdict"] == f"{for_both}A was refused with 23505: UNIQUE constraint failed: claims.owner_id"
    assert transaction["name"] == "all of claim in one transaction, begun immediate"
    assert transaction["verdict"] == f"{for_both}B waited for A, then declined: claimed"
    assert "as raced" in transaction["held_against"]

    finding = read_finding(next(Path(".integrity/races").glob("*.json")))
    project, target = find_project(Path()), Target.parse(URL)
    system = Registry(project)["shop"]
    subject = RaceSubject(
        system_on(target, system, ()), invariants_of(project, system), RaceSettings(dialect=target.dialect)
    )
    notes: list[str] = []
    serial = finding.model_copy(update={"letters": "AAAB", "cures": ()})  # nothing goes wrong there
    job = keep([serial], subject, target, project, Wanted(), test_database=None)
    (kept,) = listen(job, lambda event: notes.append(str(event)))
    assert kept.finding.cures == ()
    assert any("what would prevent it was not tried" in note for note in notes)

    code, raced = race(CLAIM.format(begin="begin;\n", end="commit;\n"))
    assert (code, raced["findings"]) == (0, [])
