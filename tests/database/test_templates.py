"""Templates of invariants: each finds its columns in a database, accepts its right rows and rejects the wrong ones."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from integrity.audit import AuditSettings, audit
from integrity.drafts.filling import fill
from integrity.drafts.found import FoundTable, find_tables
from integrity.drafts.rendering import render
from integrity.drafts.templates.catalogue import TEMPLATES
from integrity.engines.target import Target
from integrity.events import InvariantJudged
from integrity.sql.file import SqlFile, read_sql_file
from integrity.verdict import Verdict
from tests.database.template_cases import CASES


@pytest.fixture(params=["postgresql", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """A database with the tables of every case and their right rows."""
    made: Target = (
        request.getfixturevalue("database")
        if request.param == "postgresql"
        else Target.parse(f"sqlite:///{tmp_path / 'cases.db'}")
    )
    carry_out(made, [statement for case in CASES.values() for statement in (*case.made, *case.right)])
    return made


def carry_out(target: Target, statements: list[str]) -> None:
    if target.dialect == "sqlite":
        with closing(target.connect_sqlite()) as file:
            for statement in statements:
                file.execute(statement)
    else:
        with target.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())


def drafted(target: Target, folder: Path) -> list[SqlFile]:
    """Return the invariants, of each case one, as files that were read."""
    tables = find_tables(target)
    return [draft(name, tables, folder) for name in CASES]


def draft(name: str, tables: list[FoundTable], folder: Path) -> SqlFile:
    case = CASES[name]
    path = folder / f"{name}.sql"
    path.write_text(render(TEMPLATES[name], fill(TEMPLATES[name], tables, {"table": case.table, **case.given})))
    return read_sql_file(path, name=name)


def judged(target: Target, files: list[SqlFile]) -> Mapping[str, tuple[Verdict, int]]:
    events = audit(target, files, AuditSettings(connections=1))
    return {
        event.finding.name: (event.finding.verdict, event.finding.violation_count)
        for event in events
        if isinstance(event, InvariantJudged)
    }


def test_every_template_has_a_case() -> None:
    assert sorted(CASES) == sorted(TEMPLATES)


def test_every_template_holds_for_right_rows_and_is_violated_by_the_wrong_ones(target: Target, tmp_path: Path) -> None:
    files = drafted(target, tmp_path)
    assert judged(target, files) == dict.fromkeys(CASES, (Verdict.HOLDS, 0))
    carry_out(target, [statement for case in CASES.values() for statement in case.wrong])
    assert judged(target, files) == {name: (Verdict.VIOLATED, case.row_count) for name, case in CASES.items()}
