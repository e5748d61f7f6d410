"""Operations that people wrote as SQL files, reduced from public reports: what is wrong is found, what is right is silent.

Each folder of tests/field_operations is a project: its tables, the operations as they were and as they are mended.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.race.judge.alarm import Oracle

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

Race = Callable[[str, str], tuple[int, dict[str, object]]]


@pytest.fixture
def race(database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Race:
    """Race operations of a project in a copy of it, its tables in an empty database; gives the code and the JSON."""

    def run(project: str, words: str) -> tuple[int, dict[str, object]]:
        shutil.copytree(FOLDER / project, tmp_path, dirs_exist_ok=True)
        with database.connect() as connection:
            connection.execute((tmp_path / "schema.sql").read_text(encoding="utf-8"))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
        with pytest.raises(SystemExit) as ended:
            main(["race", *words.split(), "--json"])
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert printed.out, printed.err
        found: dict[str, object] = json.loads(printed.out)
        return ended.value.code, found

    return run


@pytest.mark.parametrize(("project", "words", "alarm"), RACES, ids=[words.split()[0] for _, words, _ in RACES])
def test_what_people_reported_is_found_in_their_operations(
    race: Race, project: str, words: str, alarm: tuple[str, str]
) -> None:
    code, found = race(project, words)
    alarms = [(each["oracle"], each["name"]) for finding in found["findings"] for each in finding["alarms"]]  # type: ignore[attr-defined]
    assert code == 1
    assert alarm in alarms


@pytest.mark.parametrize(("project", "words"), SOUND, ids=[words.split()[0] for _, words in SOUND])
def test_what_they_mended_is_silent_in_every_order(race: Race, project: str, words: str) -> None:
    code, found = race(project, words)
    assert code == 0, found
    assert found["findings"] == []


def test_an_operation_takes_few_lines() -> None:
    files = [*FOLDER.glob("*/operations/*.sql")]
    assert len(files) == 24
    assert max(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= LINES_MOST
