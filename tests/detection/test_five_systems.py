"""Five systems in one database: each is judged by its own calls, whatever the others' operations are called."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlglot import exp

from integrity.database.bookkeeping import VIEWS
from integrity.database.namespace import inspect_database
from integrity.engines.embedded.server import EmbeddedServer
from integrity.invariants.load import load_invariants
from integrity.project import Project, Settings, find_project
from integrity.registry import SYSTEMS
from integrity.seeds.load import Mode, seed_system
from integrity.sql.file import SqlFile
from integrity.sql.query import parse_query
from tests.detection.worlds import SIZES, hammer, judge, make_seeded, stuck, violated

CALLS = 500
LATER = timedelta(minutes=20)


def reads_history(file: SqlFile) -> bool:
    return any(table.db == "integrity" for table in parse_query(file.text).find_all(exp.Table))


CALL_LEVEL = [file for file in load_invariants(find_project(Path(__file__).parent)).values() if reads_history(file)]


@pytest.mark.parametrize("file", CALL_LEVEL, ids=lambda file: file.name)
def test_no_shipped_invariant_can_see_a_call_of_another_system(file: SqlFile) -> None:
    """By construction: it asks the views of its own system, and nothing else of ours."""
    asked = {table.name for table in parse_query(file.text).find_all(exp.Table) if table.db == "integrity"}
    system = file.name.partition("/")[0]
    assert asked <= {f"{system}_{view}" for view in VIEWS}


@pytest.mark.parametrize("file", CALL_LEVEL, ids=lambda file: file.name)
def test_no_invariant_judges_by_the_name_of_a_load_profile(file: SqlFile) -> None:
    assert "profile" not in {column.name for column in parse_query(file.text).find_all(exp.Column)}


def test_all_five_systems_hold_in_one_database_at_once_and_later(server: EmbeddedServer, tmp_path: Path) -> None:
    """Both safebox and streamvote have a create_invoice: neither answers for the other's."""
    first, *others = SYSTEMS.values()
    target = make_seeded(server, first, "five_systems")
    for system in others:
        seed_system(target, inspect_database(target), system, sizes=SIZES, seed=1, mode=Mode.NEW)
    project = Project(tmp_path, Settings())
    for system in SYSTEMS.values():
        assert stuck(target, system) == stuck(target, system, later=LATER) == {}, "the past"
    for system in SYSTEMS.values():
        hammer(target, project, system, seed=1, bug=None, calls=CALLS)
    for system in SYSTEMS.values():
        assert violated(judge(target, project, system)) == set()
        assert stuck(target, system, later=LATER) == {}
