"""A drafted scenario says what was pasted, and can be read as it is."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from integrity.cli.new_command import command
from integrity.http.curl import read_curl
from integrity.scenarios.draft import draft_scenario
from integrity.scenarios.reading import read_text
from integrity.scenarios.requests import read_request

PAY = "curl 'http://127.0.0.1:5000/pay' \\\n  -H 'Cookie: session=abc' \\\n  --data-raw $'{\"note\":\"it\\'s ${X}\"}'"
LINES = [PAY, "curl http://127.0.0.1:5000/refund -X POST", "curl 'http://a/x' -d '''", "curl http://a/ -d \"\x7f'''\""]


@pytest.mark.parametrize("line", [LINES[0], LINES[1], LINES[3]])
def test_a_pasted_line_is_read_back_as_it_was(line: str) -> None:
    scenario = read_text(draft_scenario("pay", [line]), file=Path("scenarios/pay.toml"), environment={})
    (actor,) = scenario.actors
    assert (actor.count, read_request(actor.requests[0], place="p")) == (2, read_curl(line))


def test_a_line_that_comes_twice_is_one_actor_twice_and_its_address_is_the_application() -> None:
    text = draft_scenario("pay", [LINES[1], PAY, LINES[1]], command="flask run -p 5000")
    scenario = read_text(text, file=Path("scenarios/pay.toml"), environment={})
    assert [actor.count for actor in scenario.actors] == [2, 1]
    assert (scenario.app.url, scenario.app.command) == ("http://127.0.0.1:5000", "flask run -p 5000")
    assert "holds a session or a token" in text


def test_without_a_line_it_is_an_example_that_can_be_read() -> None:
    scenario = read_text(draft_scenario("two-payments", []), file=Path("p.toml"), environment={})
    assert (scenario.title, scenario.actors[0].count) == ("two payments", 2)


def test_the_comments_of_a_draft_are_keys_that_there_are() -> None:
    lines = draft_scenario("pay", []).splitlines()
    keys = ("# [", "# sql", "# requests", "# exactly_one", "# declines", "# volatile")
    spoken = [line.removeprefix("# ") if line.startswith(keys) else line for line in lines]
    scenario = read_text("\n".join(spoken), file=Path("p.toml"), environment={"SHOP_PASSWORD": "x"})
    assert scenario.login is not None
    assert (scenario.expect.exactly_one, scenario.setup.requests[0].take) == (200, {"wallet": "$.id"})


def test_the_command_writes_it_into_the_project_and_not_over_another(tmp_path: Path) -> None:
    arguments = ["scenario", "two-payments", "--curl", PAY, "--project", str(tmp_path), "--json"]
    first = CliRunner().invoke(command, arguments, standalone_mode=False)
    written = tmp_path / "scenarios" / "two-payments.toml"
    assert json.loads(first.stdout)["name"] == "scenarios/two-payments.toml"
    text = written.read_text()
    written.write_text(f"# mine\n{text}")
    with pytest.raises(Exception, match="is there already: nothing was written"):
        CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False)
    assert written.read_text() == f"# mine\n{text}"
