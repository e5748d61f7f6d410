"""While somebody works in a database, nobody drops or replaces it from under them, and says who it is."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from integrity.database.constraints import find_missing
from integrity.database.copies import restore_copy, take_copy
from integrity.database.namespace import drop_schemas, guard, inspect_database
from integrity.engines.occupancy import occupy
from integrity.engines.postgresql.occupancy import APPLICATION, find_occupants
from integrity.engines.target import Target
from integrity.errors import DatabaseError
from integrity.load.profile import load_profile
from integrity.load.run_database import RunDatabase
from integrity.load.workload import Workload
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system
from tests.waiting import wait_until


@pytest.fixture(params=["postgresql", "sqlite"])
def venue(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """A small seeded database of each kind."""
    sqlite = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    target: Target = sqlite if request.param == "sqlite" else request.getfixturevalue("database")
    seed(target, Mode.NEW)
    return target


def seed(target: Target, mode: Mode) -> None:
    seed_system(target, guard(target, None), GHOSTPASS, sizes={"wallets": 20}, seed=1, mode=mode)


def take(target: Target) -> None:
    take_copy(target, "kept", test_database=None, may_end_sessions=True)


@pytest.mark.parametrize(
    "destroy",
    [drop_schemas, lambda target: seed(target, Mode.REPLACE), take],
    ids=["rollback", "seed --replace", "snapshot"],
)
def test_what_drops_or_replaces_is_refused_while_a_run_works_there(
    venue: Target, destroy: Callable[[Target], object]
) -> None:
    before = inspect_database(venue)
    with (
        occupy(venue, "run 20260117-ghostpass-smoke", is_exclusive=False),
        pytest.raises(DatabaseError, match=r"a run works there: 20260117-ghostpass-smoke, started 20\d\d-") as refused,
    ):
        destroy(venue)
    assert "integrity stop" in str(refused.value.hint)
    assert inspect_database(venue) == before


def test_a_restore_is_refused_while_a_run_works_there(venue: Target) -> None:
    take(venue)
    with occupy(venue, "run one", is_exclusive=False), pytest.raises(DatabaseError, match="a run works there: one"):
        restore_copy(venue, "kept", test_database=None, may_end_sessions=True)


def test_several_work_together_and_a_seed_may_be_added_to(venue: Target) -> None:
    with occupy(venue, "run one", is_exclusive=False), occupy(venue, "run two", is_exclusive=False) as hold:
        hold.rename("run three")
        seed(venue, Mode.APPEND)
    drop_schemas(venue)


def test_all_who_work_there_are_named_and_nobody_who_has_left_or_is_dead(venue: Target) -> None:
    """Of three servers one was named; on SQLite it was who had come last, though it had ended."""

    def refusal() -> str:
        with pytest.raises(DatabaseError) as refused:
            drop_schemas(venue)
        return str(refused.value).partition("\n")[0]

    with occupy(venue, "serve ghostpass", is_exclusive=False), occupy(venue, "serve inbox", is_exclusive=False) as hold:
        hold.rename("serve safebox")
        assert re.search(r"integrity serve ghostpass works there, started [^,]+, beside integrity serve safebox", refusal())
        with occupy(venue, "run three", is_exclusive=False):
            told = refusal()
            assert re.search(r"a run works there: three, started", told)
            assert told.endswith("beside integrity serve ghostpass, integrity serve safebox")
            killed = [sys.executable, "-c", HOLDING.format(url=venue.text)]
            with subprocess.Popen(killed, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                process.stdout.readline()
                assert "seed killed" in refusal()
                process.kill()
        wait_until(lambda: refusal().endswith("beside integrity serve safebox"))


HOLDING = """
from integrity.engines.target import Target
from integrity.engines.occupancy import occupy
with occupy(Target.parse({url!r}), "seed killed", is_exclusive=False):
    print("held", flush=True)
    input()
"""


def test_nobody_begins_while_somebody_drops(venue: Target) -> None:
    with (
        occupy(venue, "rollback", is_exclusive=True),
        pytest.raises(DatabaseError, match="integrity rollback works there"),
        occupy(venue, "run one", is_exclusive=False),
    ):
        pass


def test_a_hold_leaves_nothing_behind(venue: Target, tmp_path: Path) -> None:
    with ExitStack() as stack:
        for number in range(3):
            stack.enter_context(occupy(venue, f"run {number}", is_exclusive=False))
    assert not list(tmp_path.glob("*.lock"))
    drop_schemas(venue)


def test_a_hold_is_taken_again_when_its_session_was_ended(database: Target) -> None:
    with occupy(database, "run one", is_exclusive=False, is_kept=True), closing(database.connect()) as other:
        ended = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = %s"
        assert other.execute(ended, (f"{APPLICATION}run one",)).fetchone() == (True,)
        wait_until(lambda: [each.who for each in find_occupants(other, database.url.database)] == ["run one"])
        with pytest.raises(DatabaseError, match="a run works there: one"):
            drop_schemas(database)


def test_the_tables_of_one_system_are_altered_beside_whoever_works_on_another(database: Target) -> None:
    """A bug could be planted in none of five systems of a database while one of them was served."""

    def alone(part: str) -> None:
        with occupy(database, "run one", part=part, is_exclusive=False) as hold, hold.alone("its tables change"):
            with pytest.raises(DatabaseError, match="run one"), occupy(database, "x", part=part, is_exclusive=False):
                pass
            with occupy(database, "run two", part="another", is_exclusive=False):
                pass

    with occupy(database, "serve inbox", part="inbox", is_exclusive=False) as inbox:
        alone("ghostpass")
        with pytest.raises(DatabaseError, match=r"serve inbox works there, started .*, and its tables change"):
            alone("inbox")
        with occupy(database, "race", is_exclusive=False):  # on all of it
            with pytest.raises(DatabaseError, match="integrity race works there"):
                alone("ghostpass")
            with pytest.raises(DatabaseError, match="integrity race works there"), inbox.alone(""):
                pass
        alone("ghostpass")
        with pytest.raises(DatabaseError, match="serve inbox"), occupy(database, "rollback", is_exclusive=True):
            pass
    with (
        occupy(database, "race", is_exclusive=False) as race,
        race.alone("all of it"),
        pytest.raises(DatabaseError, match="integrity race"),
        occupy(database, "run one", part="inbox", is_exclusive=False),
    ):
        pass


@pytest.fixture
def begun(venue: Target, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A run of the command line that is under way."""
    command = [sys.executable, "-m", "integrity", "run", "smoke", "--duration", "10m", "--database", venue.text]
    with subprocess.Popen(
        [*command, "--project", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()
        wait_until(lambda: any(file.stat().st_size for file in tmp_path.glob(".integrity/runs/*/history.jsonl")))
        yield process
        process.kill()


def test_a_run_is_named_with_the_way_to_end_it(venue: Target, begun: "subprocess.Popen[str]", tmp_path: Path) -> None:
    (folder,) = (tmp_path / ".integrity/runs").iterdir()
    with pytest.raises(DatabaseError, match=f"a run works there: {folder.name}, started"):
        drop_schemas(venue)
    assert begun.poll() is None
    assert inspect_database(venue).is_ours


def test_a_bug_alters_no_tables_under_whoever_works_there_and_none_of_its_own_are_made_whole_under_it(
    venue: Target,
) -> None:
    bug = GHOSTPASS.find_bug("double_credit")
    assert bug.dropped
    profile = load_profile(GHOSTPASS, "smoke", {})
    planted = RunDatabase(venue, Workload(GHOSTPASS, profile, bug, 1))
    sound = RunDatabase(venue, Workload(GHOSTPASS, profile, None, 1))

    def begin(run: RunDatabase) -> list[str]:
        with run.occupy("smoke") as hold:
            run.prepare(hold)
        return find_missing(venue, GHOSTPASS.metadata)

    with occupy(venue, "serve ghostpass", is_exclusive=False) as server:
        with pytest.raises(DatabaseError, match=r"serve ghostpass works there.*altered under it: bug double_credit"):
            begin(planted)
        assert begin(sound) == []  # it changes nothing there
        with server.alone(""), pytest.raises(DatabaseError, match="works there"):
            begin(sound)
        assert begin(sound) == []
    assert begin(planted) == sorted(bug.dropped)
    with occupy(venue, "run one", is_exclusive=False):
        assert begin(planted) == sorted(bug.dropped)
        with pytest.raises(DatabaseError, match=r"run works there.*under it: they lack what a bug left out"):
            begin(sound)
    assert begin(sound) == []
