"""What is left of an interrupted run: the rest of its length, its stages, its steps and its faults."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from integrity.errors import UsageError
from integrity.jobs.about import look_at
from integrity.jobs.run import choose, windows_of
from integrity.load.profile import ClosedProfile, OpenProfile, Profile, load_profile
from integrity.load.resuming import _later, rest_of
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.runs.documents import write_document
from integrity.runs.folder import RunFolder
from tests.documents import make_result, make_settings


def profile(name: str) -> OpenProfile:
    loaded = load_profile(GHOSTPASS, name, {})
    assert isinstance(loaded, OpenProfile)
    return loaded


def open_rest(whole: Profile, ran_s: float, *, steps_ended: int = 0) -> OpenProfile:
    rest = rest_of(whole, ran_s, steps_ended=steps_ended, place="run x")
    assert isinstance(rest, OpenProfile)
    return rest


def factors(stages: Any) -> list[tuple[float, float]]:
    return [(stage.duration_s, stage.factor) for stage in stages]


def test_the_rest_of_a_steady_run_is_as_long_as_what_is_left_and_of_the_whole_plan() -> None:
    rest = open_rest(profile("soak"), 14_000)
    assert (rest.duration_s, rest.whole_s, rest.watches_trends) == (400, 14_400, True)
    hammer = rest_of(load_profile(GHOSTPASS, "hammer", {}), 4.0, steps_ended=0, place="run x")
    assert isinstance(hammer, ClosedProfile)
    assert (hammer.duration_s, hammer.whole_s) == (6.0, 10.0)


@pytest.mark.parametrize("ran_s", [0.0, 60.0, 120.0, 121.0, 419.0, 420.0, 599.0])
def test_stages_go_on_in_the_middle_at_the_load_that_they_had(ran_s: float) -> None:
    """A spike: 120 s as usual, 300 s at ten times that, 180 s as usual."""
    rest = open_rest(profile("spike"), ran_s)
    assert rest.duration_s == pytest.approx(600 - ran_s)
    assert sum(seconds for seconds, _ in factors(rest.stages)) == pytest.approx(600 - ran_s)
    begins = 10.0 if 120.0 <= ran_s < 420.0 else 1.0
    held = [(factor, later) for (_, factor), (seconds, later) in pairwise(factors(rest.stages)) if seconds]
    assert held[0] == (begins, begins)


def test_a_ramp_goes_on_from_where_it_was() -> None:
    """From nothing to ten times the load in 1,800 s, and 120 s of that."""
    assert factors(open_rest(profile("ramp"), 450).stages) == [(0, 2.5), (1350, 10), (120, 10)]


def test_a_sweep_holds_the_step_again_that_was_cut_off() -> None:
    rest = open_rest(profile("throughput"), 700, steps_ended=2)
    assert rest.steps is not None
    assert (rest.steps.factors, rest.duration_s) == ((2.0, 4.0, 8.0, 16.0), 1200)


@pytest.mark.parametrize(
    ("name", "ran_s", "steps", "complaint"),
    [("stress", 10, 0, "searches for a breaking point"), ("soak", 14_400, 0, "nothing is left"),
     ("throughput", 1_800, 6, "nothing is left")],
)  # fmt: skip
def test_what_cannot_go_on_says_why(name: str, ran_s: float, steps: int, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        rest_of(profile(name), ran_s, steps_ended=steps, place="run x")


def test_faults_that_are_over_do_not_come_again_and_the_others_come_when_they_would_have() -> None:
    chaos = profile("chaos")
    later = _later(windows_of(chaos), 127.0)  # in the middle of the third
    assert [each.fault.name for each in later[:2]] == ["device_offline", "device_offline"]
    assert [each.from_s for each in later[:2]] == pytest.approx([0, 41])
    assert [each.to_s for each in later[:2]] == pytest.approx([17, 65])
    assert open_rest(chaos, 127.0).faults == ()


def test_a_run_goes_on_as_it_was_asked_for(tmp_path: Path) -> None:
    project = Project(tmp_path, Settings())
    folder = RunFolder(project.runs_folder / "r1")
    folder.path.mkdir(parents=True)
    hammer = load_profile(GHOSTPASS, "hammer", {}).model_dump(mode="json")
    settings = make_settings(settings=hammer, bug="overdraw", seed=7, ran_before_s=1.5)
    write_document(folder.path, "settings.json", settings)
    folder.write_result(make_result(state="interrupted", elapsed_s=4.0))

    chosen = choose(project, None, resumed="r1")

    assert chosen.resumes is not None
    assert (chosen.resumes.ran_s, chosen.resumes.seed) == (5.5, 8)
    assert (chosen.system.name, chosen.profile_name, chosen.bug and chosen.bug.name) == ("ghostpass", "hammer", "overdraw")
    assert chosen.profile.duration_s == 6.0
    for given, option in (({"rate": 5.0}, "rate"), ({"duration_s": 5.0}, "duration"), ({"faults": ("x",)}, "fault")):
        with pytest.raises(UsageError, match=f"without --{option}"):
            choose(project, None, resumed="r1", **given)
    with pytest.raises(UsageError, match="there is no run 'r2'"):
        choose(project, None, resumed="r2")


def test_a_run_is_gone_on_with_once_and_the_next_time_with_its_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three that went on one with another, the last has what is left; one that went on with another run is none."""
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", f"sqlite:///{tmp_path}/venue.db")
    project = Project(tmp_path, Settings())
    hammer = load_profile(GHOSTPASS, "hammer", {}).model_dump(mode="json")
    for number, (name, resumes) in enumerate((("r1", ""), ("other", "r0"), ("r2", "r1"), ("a3", "r2"))):
        folder = RunFolder(project.runs_folder / name)
        folder.path.mkdir(parents=True)
        settings = make_settings(settings=hammer, resumes=resumes, started_at_us=number)
        write_document(folder.path, "settings.json", settings)
        folder.write_result(make_result(run_id=name, state="interrupted", elapsed_s=1.0))

    told = look_at(project)
    assert (told.last_run.endswith("hammer of ghostpass, interrupted"), told.next[0]) == (True, "integrity run --resume a3")
    for name in ("r1", "r2"):
        with pytest.raises(UsageError, match=f"run {name} was gone on with already, by run a3") as refused:
            choose(project, None, resumed=name)
        assert "`integrity run --resume a3`" in str(refused.value.hint)
    assert choose(project, None, resumed="a3").resumes is not None

    folder.write_result(make_result(run_id="a3", state="finished"))
    told = look_at(project)
    assert (told.last_run.endswith("ended"), any("--resume" in each for each in told.next)) == (True, False)
