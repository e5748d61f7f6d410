"""What a token or a file of requests is of is found here, or it is said where it would be."""

from pathlib import Path

import pytest

from integrity.errors import UsageError
from integrity.http.curl import read_curl
from integrity.http.values import fill
from integrity.jobs.replay import choose
from integrity.jobs.replay_requests import ChosenRequests
from integrity.project import find_project
from integrity.race.finding.finding import write_finding
from integrity.race.finding.scenario_record import ScenarioRecord
from integrity.race.finding.token import code_of
from integrity.race.judge.judge import EXPECTED
from integrity.race.judge.oracles import Oracle
from integrity.scenarios.subject import subject_of_curl, subject_of_file
from tests.unit.test_race_replay_finding import make_finding

SCENARIO = """
[app]
command = "flask run"
commit = "${BUILD}"

[login]
requests = ["POST /login name=ann&password=${SHOP_PASSWORD}"]

[[actors]]
requests = ["GET /cart", "POST /buy"]
count = 2
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "integrity.toml").write_text("")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios/buy.toml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_PASSWORD", "x7secret")
    monkeypatch.setenv("BUILD", "2f0c")
    return tmp_path


def digest_of(folder: Path, text: str) -> str:
    (folder / "scenarios/buy.toml").write_text(text)
    return subject_of_file(find_project(folder), "buy").record.digest


def test_a_digest_is_of_what_is_raced_and_not_of_where_or_by_whom(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = digest_of(folder, SCENARIO)
    monkeypatch.setenv("SHOP_PASSWORD", "another")
    elsewhere = SCENARIO.replace("flask run", "gunicorn shop").replace("[app]", "[database]\nname = 'other'\n\n[app]")
    assert digest_of(folder, f"title = 'there'\n{elsewhere}") == digest
    assert digest_of(folder, SCENARIO.replace("/buy", "/pay")) != digest
    assert digest_of(folder, SCENARIO + "\n[expect]\nexactly_one = 200\n") != digest


def test_a_token_takes_the_scenario_of_its_name_and_the_requests_that_are_left(folder: Path) -> None:
    digest = digest_of(folder, SCENARIO)
    chosen = choose(find_project(folder), Path(f"r1:buy:{digest}:0.1-1.1:B1:s"))
    assert isinstance(chosen, ChosenRequests)
    assert (chosen.cast, list(chosen.failures)) == (((0, (1,)), (1, (1,))), ["serial equivalence"])


@pytest.mark.parametrize("name", [EXPECTED, "carts/total"])
def test_a_token_says_which_check_failed_whether_that_comes_back_or_not(folder: Path, name: str) -> None:
    (folder / "invariants/carts").mkdir(parents=True)
    (folder / "invariants/carts/total.sql").write_text("-- title: t\nselect id from carts where total < 0\n")
    code = code_of((Oracle.INVARIANT, name))
    chosen = choose(find_project(folder), Path(f"r1:buy:{digest_of(folder, SCENARIO)}::B1:{code}"))
    assert isinstance(chosen, ChosenRequests)
    assert list(chosen.failures) == [name]


def test_a_token_of_another_name_is_played_by_no_finding_that_is_kept_either(folder: Path) -> None:
    record = subject_of_file(find_project(folder), "buy").record
    races = folder / ".integrity/races"
    write_finding(make_finding(bug=None, scenario=record), races / "buy.json")
    (folder / "scenarios/buy.toml").unlink()
    assert choose(find_project(folder), Path(f"r1:buy:{record.digest}::B1:s")).finding is None
    with pytest.raises(UsageError, match="the token is named buuy") as refused:
        choose(find_project(folder), Path(f"r1:buuy:{record.digest}::B1:s"))
    assert refused.value.hint == f"Perhaps you meant r1:buy:{record.digest}::B1:s."


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("r1:buy:000000000000::B1:s", "another scenario than the token is of"),
        ("r1:sell:000000000000::B1:s", "no scenario here is that"),
        ("r1::000000000000::B1:s", "the token is of curl lines"),
        ("r1:buuy:{}::B1:s", "the token is named buuy, and its digest is that of scenarios/buy.toml"),
        ("r1:buy:{}:0-7:B1:s", "an actor or a request that scenarios/buy.toml does not have"),
        ("r1:buy:{}:0.5-1:B1:s", "an actor or a request that scenarios/buy.toml does not have"),
    ],
)
def test_a_token_of_something_else_is_told_apart(folder: Path, token: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        choose(find_project(folder), Path(token.format(digest_of(folder, SCENARIO))))
    assert refused.value.hint


def test_a_finding_carries_its_scenario_and_says_what_it_lacks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = subject_of_file(find_project(folder), "buy").record
    assert (record.commit, record.variables) == ("2f0c", ())
    finding = make_finding(bug=None, scenario=record.model_copy(update={"kept": ((0, (1,)), (1, (1,)))}))
    write_finding(finding, folder / "found.json")
    monkeypatch.setenv("BUILD", "3a1b")
    digest_of(folder, SCENARIO.replace("/cart", "/basket"))
    chosen = choose(find_project(folder), Path("found.json"))
    assert isinstance(chosen, ChosenRequests)
    assert chosen.subject.scenario.actors[0].requests[0].request == "GET /cart"
    assert [each.split(" (")[0] for each in chosen.changed] == ["scenarios/buy.toml is another one by now"]
    (folder / "scenarios/buy.toml").write_text(SCENARIO)
    chosen = choose(find_project(folder), Path("found.json"))
    assert isinstance(chosen, ChosenRequests)
    assert chosen.changed == ["the application is at commit 3a1b, it was at 2f0c"]


KEPT, FILE = "what the finding kept is played", "the file is played"


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (SCENARIO, []),
        (f"title = 'another'\n{SCENARIO}", []),
        (SCENARIO.replace("/cart", "/basket"), ["another one by now", "in actors.0.requests.0; ", KEPT]),
        (SCENARIO + "[expect]\nexactly_one = 200\n", ["another one by now", "in expect; ", KEPT]),
        (SCENARIO.replace("flask", "gunicorn"), ["another one by now in app.command; ", FILE]),
        (
            SCENARIO.replace("[login]", "[login"),
            ["cannot be used by now; ", KEPT, "scenarios/buy.toml:6:7: cannot be read"],
        ),
        (SCENARIO.replace("count = 2", "count = 99"), ["cannot be used by now; ", KEPT, "actors.0.count"]),
        (None, ["scenarios/buy.toml is gone; ", KEPT]),
    ],
)
def test_a_scenario_that_was_changed_since_is_told_with_what_differs_and_which_of_both_is_played(
    folder: Path, now: str | None, told: list[str]
) -> None:
    write_finding(
        make_finding(bug=None, scenario=subject_of_file(find_project(folder), "buy").record), folder / "found.json"
    )
    (folder / "scenarios/buy.toml").write_text(now or "")
    if now is None:
        (folder / "scenarios/buy.toml").unlink()
    chosen = choose(find_project(folder), Path("found.json"))
    assert isinstance(chosen, ChosenRequests)
    assert len(chosen.changed) == bool(told), chosen.changed
    assert [part for part in told if part not in "".join(chosen.changed)] == [], chosen.changed
    is_of_file = now is not None and "gunicorn" in now
    assert chosen.subject.scenario.app.command == ("gunicorn run" if is_of_file else "flask run")
    assert chosen.subject.scenario.actors[0].requests[0].request == "GET /cart"


def test_a_secret_of_a_curl_line_is_a_variable_that_must_be_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "curl -X POST http://ann@127.0.0.1:8000/buy -b 'session=x7secret' -d '{\"note\": \"${HOME}\"}'"
    subject = subject_of_curl(find_project(folder), [line], "", "flask run", count=2)
    assert subject.record.variables == ("RACE_COOKIE",)
    write_finding(make_finding(bug=None, scenario=subject.record), folder / "found.json")
    assert "x7secret" not in (folder / "found.json").read_text()
    with pytest.raises(UsageError, match="RACE_COOKIE"):
        choose(find_project(folder), Path("found.json"))
    monkeypatch.setenv("RACE_COOKIE", "session=x7secret")
    chosen = choose(find_project(folder), Path("found.json"))
    assert isinstance(chosen, ChosenRequests)
    assert chosen.subject.scenario == subject.scenario


def test_braces_of_a_pasted_body_are_sent_as_they_stand(folder: Path) -> None:
    line = 'curl http://127.0.0.1:8000/mail -d \'{"text": "Dear {name}, {name}!"}\''
    scenario = subject_of_curl(find_project(folder), [line], "", "flask run", count=2).scenario
    request = fill(read_curl(line, folder=folder), scenario.values)
    assert request == read_curl(line, folder=folder)


def test_a_finding_of_functions_is_led_to_its_test(folder: Path) -> None:
    record = ScenarioRecord(name="pay-pay", digest="0" * 12, given={"calls": ["pay", "pay"]})
    write_finding(make_finding(bug=None, scenario=record), folder / "found.json")
    with pytest.raises(UsageError, match="of functions") as refused:
        choose(find_project(folder), Path("found.json"))
    assert "race.replay('found.json', pay, pay).holds()" in (refused.value.hint or "")


def test_what_is_of_a_recorded_pass_is_no_scenario_and_says_what_makes_a_test_of_it(folder: Path) -> None:
    record = ScenarioRecord(name="a-b", digest="0" * 12, given={"transactions": ["a (update stock)", "b (1)"]})
    write_finding(make_finding(scenario=record), folder / "found.json")
    with pytest.raises(UsageError, match="transactions of a recorded pass") as told:
        choose(find_project(folder), Path("found.json"))
    assert "--pytest FILE" in str(told.value.hint)
