"""A limiter is met by its own run: in one hour where it counts by the hour, and by what no other run has left in it."""

import sqlite3
from pathlib import Path

import pytest

from integrity.domain import World
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.load import waiting
from integrity.load.profile import OpenProfile, load_profile, profile_names
from integrity.load.suite import Suite, load_suite, plan_suite
from integrity.load.thresholds import Threshold
from integrity.load.waiting import HOUR_S, MARGIN_S, seconds_to_wait
from integrity.load.workload import Workload
from integrity.project import Project, Settings
from integrity.reference.inbox.system import INBOX
from integrity.registry import SYSTEMS, shipped_suites
from integrity.systems.system import System


@pytest.mark.parametrize(
    ("minute", "duration_s", "waits_s"),
    [
        (0, 120, 0),
        (57, 120, 0),
        (58, 120, 120),  # with the margin it reaches into the next
        (59.5, 120, 30),
        (10, 3000, 3000),  # exactly fifty minutes are left, and the margin is not
        (59, HOUR_S - MARGIN_S, 60),
        (59, HOUR_S, 0),  # no hour has room for it
    ],
)
def test_a_run_waits_until_it_fits_into_an_hour(minute: float, duration_s: float, waits_s: float) -> None:
    assert seconds_to_wait(1_796_000_400 + minute * 60, duration_s) == pytest.approx(waits_s)


@pytest.mark.parametrize("name", ["limit-kept", "limit-passed"])
def test_the_limiter_is_met_by_one_who_has_sent_nothing_within_the_hour(name: str) -> None:
    """Played twice within the hour it failed, as the window of the first still counted."""
    profile = load_profile(INBOX, name, {})
    assert isinstance(profile, OpenProfile)
    assert profile.fits_hour
    (stream,) = [each for each in profile.streams if each.operations == ("send_whatsapp",)]
    assert stream.pin == {"conversation_id": "unused_whatsapp"}
    assert Workload(INBOX, profile, None, 1).needed_keys["unused_whatsapp"] == 1
    world = World(keys={"whatsapp": [1, 2, 3], "unused_whatsapp": [3]})
    assert (world.pinned("whatsapp", "unused_whatsapp"), world.pinned("whatsapp", 2)) == (3, 2)


def test_in_a_suite_who_has_sent_nothing_within_the_hour_is_asked_for_before_anybody_sends() -> None:
    """Behind a soak of two hours everybody had: the suite of the plan ended on its tenth run, with nothing recorded."""
    steps = [each.profile for each in load_suite("plan-inbox", shipped_suites()).steps]
    of_hour = [load_profile(INBOX, name, {}) for name in steps[:2]]
    assert all(isinstance(each, OpenProfile) and each.fits_hour for each in of_hour)
    assert not {"limit-kept", "limit-passed"} & set(steps[2:])


def test_a_suite_that_is_shortened_passes_without_what_is_of_the_whole_length() -> None:
    suite = Suite.model_validate({"title": "limits", "steps": [{"profile": "limit-passed", "duration_s": 10}]})
    (planned,) = plan_suite("limits", suite, [INBOX], {}, shorten=1.0).runs
    assert list(map(str, planned.spared)) == ["send_whatsapp declined share (of the whole length only)"] * 2


def test_a_run_waits_for_what_was_left_before_it_and_not_for_what_comes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """13 of 1,026 votes of a sound system were refused for those of the run before, and its limit was missed."""
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "open.sql").write_text("-- title: open windows\nselect id from windows order by id\n")
    file = tmp_path / "shop.db"
    changes = iter(
        ["delete from windows where id = 1", "insert into windows values (3)", "delete from windows where id = 2"]
    )
    with sqlite3.connect(file) as connection:
        connection.executescript("create table windows (id integer); insert into windows values (1), (2)")

    def change(_seconds: float) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute(next(changes))

    monkeypatch.setattr("time.sleep", change)
    limit = Threshold(statistic="declined_share", reason="rate_limited", most=0, waits_for="open", source="a plan")
    target = Target.parse(f"sqlite:///{file}")
    left = waiting.find_left(Project(tmp_path, Settings()), [limit])
    (noted,) = list(waiting.wait_for_left(target, left))
    assert "waiting until what calls before this run left is over: 2 rows of open" in str(noted)
    assert list(changes) == []


def test_a_run_does_not_begin_on_what_no_limiter_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "open.sql").write_text("-- title: for ever\nselect 1 as id\n")
    limit = Threshold(statistic="declined_share", most=0, waits_for="open", source="a plan")
    left = waiting.find_left(Project(tmp_path, Settings()), [limit])
    sqlite3.connect(tmp_path / "shop.db").execute("create table t (id integer)").connection.close()
    monkeypatch.setattr(waiting, "LEFT_MOST_S", 0.0)
    with pytest.raises(UsageError, match="query open has found 1 row for"):
        list(waiting.wait_for_left(Target.parse(f"sqlite:///{tmp_path}/shop.db"), left))


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_a_shipped_limit_on_what_a_limiter_refuses_is_not_of_calls_before_the_run(system: System) -> None:
    """It waits for them to be over, or its calls are of somebody who has made none."""
    for name in profile_names(system, {}):
        profile = load_profile(system, name, {})
        pinned = [each for each in getattr(profile, "streams", ()) if any(isinstance(of, str) for of in each.pin.values())]
        of_nobody = {operation for each in pinned for operation in each.operations}
        charged = [
            each
            for each in profile.thresholds
            if each.statistic == "declined_share" and each.reason == "rate_limited" and each.operation not in of_nobody
        ]
        assert [str(each.about) for each in charged if each.waits_for is None] == [], name
        waiting.find_left(Project(Path(), Settings()), profile.thresholds)  # they are there
