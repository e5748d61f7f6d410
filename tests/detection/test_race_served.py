"""A race over HTTP finds what it finds in process, in the same schedule, and is silent where all is right."""

import math
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.errors import UsageError
from integrity.events import listen
from integrity.jobs.findings import system_on
from integrity.jobs.race import choose, race
from integrity.jobs.replay import choose as choose_finding
from integrity.jobs.replay import replay
from integrity.project import find_project
from integrity.race.processes import Search, open_searchers
from integrity.race.search.settings import RaceSettings, RaceSubject
from integrity.race.searcher import Searched, Task
from integrity.registry import SYSTEMS
from integrity.scenarios.served import open_served_searchers
from integrity.systems.system import Bug, System
from tests.database.served import serving
from tests.detection.test_detection import MakeDatabase
from tests.detection.worlds import invariants_of

RACES = [(system, bug) for system in SYSTEMS.values() for bug in system.bugs.values() if bug.race]
DIFFERENT = {
    "lost_unread": "the same schedule is called P4 over HTTP, and A5B in process",
    "stale_last_message": "found in process within one preemption, and over HTTP in the serial order BA already",
}
"""What is found in both ways, and not told alike."""
SETTINGS = RaceSettings(schedules=20, seconds=math.inf)


def search(search_tasks: Search, names: tuple[str, ...], choice: int) -> Searched | None:
    """Return what comes of one choice of arguments; None: there is no such choice."""
    ((_, searched),) = search_tasks([Task(names, choice)], math.inf)
    assert not isinstance(searched, UsageError)
    return searched


def told(searched: Searched | None) -> object:
    """What was found, but for times and keys; None: nothing."""
    finding = searched.finding if searched is not None else None
    if finding is None:
        return None
    returned = {letter: call.returned.keys() for letter, call in finding.calls.items()}
    return finding.letters, finding.fingerprint, finding.anomaly, returned


@pytest.mark.parametrize(
    ("system", "bug"),
    [
        pytest.param(
            system,
            bug,
            id=f"{system.name}-{bug.name}",
            marks=[pytest.mark.xfail(reason=DIFFERENT[bug.name], strict=True)] if bug.name in DIFFERENT else [],
        )
        for system, bug in RACES
    ],
)
def test_a_served_race_is_that_of_operations_in_process(
    server: EmbeddedServer, tmp_path: Path, system: System, bug: Bug
) -> None:
    files = invariants_of(find_project(tmp_path), system)
    assert bug.race is not None
    on = system_on(server.target, system, files)
    racy = RaceSubject(on, files, SETTINGS, bug)
    with open_searchers(server.target, racy, [bug.race], None) as here:
        searches = ((choice, search(here, bug.race, choice)) for choice in count())
        choice, found = next((choice, each) for choice, each in searches if each is None or each.finding)
    assert found is not None
    with open_served_searchers(server.target, racy, [bug.race], None) as there:
        assert told(search(there, bug.race, choice)) == told(found)
    sound = RaceSubject(on, files, SETTINGS)
    with open_served_searchers(server.target, sound, [bug.race], None) as there:
        silent = search(there, bug.race, choice)
    assert silent is not None
    assert (silent.finding, silent.apart) == (None, None)


@pytest.mark.exhaustive
def test_a_finding_over_http_says_so_and_is_replayed_over_http(server: EmbeddedServer, tmp_path: Path) -> None:
    project = find_project(tmp_path)
    settings = RaceSettings(seconds=math.inf)
    chosen = choose(
        project, ("instainstru", "resend_message", "resend_message"), settings, bug_name="double_message", is_served=True
    )
    raced = listen(race(chosen, server.target, project))
    assert raced.found
    kept = raced.found[0]
    assert kept.finding.is_served
    assert kept.finding.name in kept.replay
    replayed = listen(replay(choose_finding(project, Path(kept.finding.name)), server.target, times=2))
    assert [each.is_back for each in replayed.replays] == [True, True]
    assert replayed.differences == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"is_mutating": True}, "--mutate"),
        ({"schedule": "ABBA"}, "--schedule"),
        ({"settings": RaceSettings(jobs=2)}, "--jobs"),
    ],
)
def test_what_one_server_cannot_do_is_refused(tmp_path: Path, words: dict[str, object], said: str) -> None:
    names = ("ghostpass", "sell", "sell")
    with pytest.raises(UsageError, match=f"{said} goes with calls that are carried out here"):
        choose(find_project(tmp_path), names, is_served=True, **words)  # type: ignore[arg-type]


@pytest.mark.exhaustive
def test_what_a_run_over_http_broke_is_brought_back_with_the_bug_that_its_server_had(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    """The run does not know what was planted where it asked: sound operations are tried in vain."""
    target, system = make_database(None), SYSTEMS["instainstru"]
    asked = ("--database", target.text)

    def integrity(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "integrity", *words, *asked]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
        return ended.returncode, ended.stdout + ended.stderr

    assert integrity("seed", "--system", system.name)[0] == 0
    with serving(target, tmp_path, system.name, "--bug", "lost_unread") as made:
        run = integrity("run", "hammer", "--system", system.name, "--target", made.url, "--duration", "3s")
    assert run[0] in (0, 4), run[1]
    assert integrity("validate")[0] == 1
    row = ("reproduce", "instainstru/unread-count-equals-messages")
    code, said = integrity(*row, "--bug", "lost_unread")
    assert (code, "replay: integrity replay" in said) == (1, True), said
    assert integrity(*row)[0] == 3
