"""Operations that people wrote as SQL files, reduced from public reports: what is wrong is found, what is right is silent.

Each folder of tests/field_operations is a project: its tables, the operations as they were and as they are mended.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.race.judge.oracles import Oracle

FOLDER = Path(__file__).parents[1] / "field_operations"
LINES_MOST = 25

RACES = [
    ("counter", "delete_comment", (Oracle.INVARIANT, "count-equals-rows")),
    ("idempotency", "pay_after_looking", (Oracle.INVARIANT, "one-charge-per-key")),
    ("guild", "join_bare", (Oracle.FAILURE, "join_bare: 25P02")),
    ("tag", "tag_returned", (Oracle.INVARIANT, "link-has-tag")),
    ("invoice", "issue_greatest", (Oracle.INVARIANT, "number-once")),
    ("soft_delete", "register", (Oracle.INVARIANT, "one-live-user")),
    ("booking", "book", (Oracle.INVARIANT, "no-overlap")),
    ("queue", "batch_ab batch_ba", (Oracle.DEADLOCK, "A, B")),
    ("ledger", "transfer", (Oracle.SWALLOWED, "transfer: 40001")),
    ("cart", "pay empty", (Oracle.FAILURE, "pay: NoRow")),
]
SOUND = [
    ("counter", "delete_comment_once"),
    ("idempotency", "pay_in_progress"),
    ("idempotency", "pay_once"),
    ("guild", "join_savepoint"),
    ("guild", "join_on_conflict"),
    ("guild", "join_again"),
    ("tag", "tag_read"),
    ("invoice", "issue_counted"),
    ("invoice", "issue_locked"),
    ("soft_delete", "register_live"),
    ("booking", "book_locked"),
    ("queue", "batch_ab"),
    ("ledger", "transfer_again"),
    ("cart", "empty"),
]

Found = dict[str, Any]
Race = Callable[[str, str, str], tuple[int, Found]]


def alarms_of(found: Found) -> list[tuple[str, str]]:
    return [(each["oracle"], each["name"]) for finding in found["findings"] for each in finding["alarms"]]


@pytest.fixture
def race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Race:
    """Race operations of a project in a copy of it, on a database with its tables; gives the code and the JSON."""

    def run(project: str, words: str, database: str) -> tuple[int, Found]:
        shutil.copytree(FOLDER / project, tmp_path, dirs_exist_ok=True)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as ended:
            main(["race", *words.split(), "--json", "--database", database])
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert printed.out, printed.err
        found: Found = json.loads(printed.out)
        return ended.value.code, found

    return run


@pytest.fixture
def database_of(database: Target) -> Callable[[str], str]:
    """Make the tables of a project; gives the URL of their database."""

    def make(project: str) -> str:
        with database.connect() as connection:
            connection.execute((FOLDER / project / "schema.sql").read_text(encoding="utf-8"))
        return database.text

    return make


@pytest.mark.parametrize(("project", "words", "alarm"), RACES, ids=[words.split()[0] for _, words, _ in RACES])
def test_what_people_reported_is_found_in_their_operations(
    race: Race, database_of: Callable[[str], str], project: str, words: str, alarm: tuple[str, str]
) -> None:
    code, found = race(project, words, database_of(project))
    assert code == 1
    assert alarm in alarms_of(found)


@pytest.mark.parametrize(("project", "words"), SOUND, ids=[words.split()[0] for _, words in SOUND])
def test_what_they_mended_is_silent_in_every_order(
    race: Race, database_of: Callable[[str], str], project: str, words: str
) -> None:
    code, found = race(project, words, database_of(project))
    assert (code, alarms_of(found)) == (0, []), found


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_files_of_operations_are_raced_on_sqlite_too(race: Race, tmp_path: Path, journal: str) -> None:
    path = tmp_path / "wallet.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"pragma journal_mode = {journal}")
        connection.executescript((FOLDER / "wallet/schema.sql").read_text(encoding="utf-8"))
    code, found = race("wallet", "withdraw", f"sqlite:///{path}")
    assert (code, (Oracle.INVARIANT, "balance-equals-entries") in alarms_of(found)) == (1, True)
    code, found = race("wallet", "withdraw_whole", f"sqlite:///{path}")
    assert (code, alarms_of(found)) == (0, []), found


def test_an_operation_takes_few_lines() -> None:
    files = [*FOLDER.glob("*/operations/*.sql")]
    assert len(files) == 27
    assert max(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= LINES_MOST
