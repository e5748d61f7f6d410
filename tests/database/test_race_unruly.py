"""Applications that give a race trouble: each race has an end, and says what the trouble is, where, and what to do."""

import json
import sys
from contextlib import closing
from pathlib import Path

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.race.gated.postgresql import engine, stand
from tests.database.race_commands import STOCK, Command, race_requests_beside

UNRULY = f"{sys.executable} {Path(__file__).parents[1] / 'race_app' / 'unruly.py'}"


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.setattr(engine, "_GIVEN_UP_SECONDS", 0.3)  # of the seconds that nothing comes back in
    monkeypatch.setattr(stand, "_LETTERS_MAX", 60)
    return race_requests_beside(database, tmp_path, monkeypatch, capsys)


def asked(path: str) -> tuple[str, ...]:
    return ("--command", UNRULY, "--curl", f"curl -X POST http://127.0.0.1:9{path}")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/no-method", "answered with 501, without a statement: there is no such address"),
        ("/no-statement", "was made, and answered with 200; no statement of the application was seen"),
        ("/verified", "no statement of the application was seen: 2 clients that hung up at the proxy's own certificate"),
        ("/stranger", "no statement of the application was seen: the server did not let 2 connections in: "),
    ],
)
def test_an_application_that_cannot_be_raced_is_told_why_and_what_to_do(integrity: Command, path: str, told: str) -> None:
    code, _, err = integrity(*asked(path))
    assert (code, told in " ".join(err.split()), "hint: " in err) == (2, True, True), err


def test_an_application_that_insists_on_encryption_is_served_where_certificates_can_be_made_and_told_how_elsewhere(
    integrity: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography", reason="cryptography is not installed, which makes certificates")
    code, out, err = integrity(*asked("/insisting"))
    assert (code, "answers apart" in out) == (0, True), out + err
    monkeypatch.setattr(stand, "find_context", lambda _host: None)
    code, _, err = integrity(*asked("/insisting"))
    said = " ".join(err.split())
    assert (code, "clients that hung up when encryption was refused" in said) == (2, True), err
    assert "pip install 'integrity[tls]'" in said


@pytest.mark.exhaustive
def test_an_application_that_opens_more_connections_than_the_server_has_is_told_so(
    integrity: Command, tmp_path: Path
) -> None:
    """On a server of its own, which has 20: 8 of them would do for two calls."""
    server = EmbeddedServer(
        tmp_path / "small", settings={"max_connections": "20", "fsync": "off", "shared_buffers": "32MB"}
    )
    target = server.start()
    try:
        with closing(target.connect()) as connection:
            connection.execute(STOCK)
            connection.commit()
        code, _, err = integrity(*asked("/greedy"), "--database", target.text)
        said = " ".join(err.split())
        assert (code, "too many clients already" in said, "its pool's size" in said) == (2, True, True), err
        code, out, err = integrity(*asked("/greedy-together"), "--database", target.text)
        assert (code, "too many clients already" in out) == (3, True), out + err
        code, out, err = integrity(*asked("/sell"), "--database", target.text)
        assert (code, "answers apart" in out) == (0, True), out + err
    finally:
        server.stop()


def test_a_request_that_never_ends_is_given_up_with_its_statements_so_far(integrity: Command) -> None:
    code, _, err = integrity(*asked("/poll"))
    said = " ".join(err.split())
    assert code == 2, err
    assert "the application goes on by itself (60 statements in " in said
    assert "the schedule so far: Ax60" in said
    assert "select left_over from stock where id = 1" in said
    assert "50 more" in said


def test_a_request_that_never_ends_beside_another_is_unknown_with_the_schedule_so_far(integrity: Command) -> None:
    code, out, _ = integrity(*asked("/wait"), "--json")
    told = json.loads(out)
    assert (code, told["verdict"]) == (3, "unknown"), out
    assert any("goes on by itself" in each for each in told["cut"]), told["cut"]
    assert told["unfinished"][0].startswith("the schedule so far: A")


def test_an_application_that_dies_in_a_schedule_is_told_with_that_what_it_was_asked_and_its_log(integrity: Command) -> None:
    code, _, err = integrity(*asked("/die"))
    said = " ".join(err.split())
    assert code == 2, err
    assert "the application ended with 7 in the midst of a schedule, and did not answer POST /die (" in said
    assert "| the last one was sold twice" in said
    assert "the schedule so far: A" in said
    assert said.count("returning left_over") == 2


def test_answers_apart_are_no_sound_race_and_are_kept_cured_and_played_again(integrity: Command) -> None:
    code, out, err = integrity(*asked("/sell"))
    said = " ".join(out.split())
    assert (code, "sound" in said, "answers apart: the rows are right in every order" in said) == (0, False, True), (
        out + err
    )
    assert (
        "row lock select left_over from stock where id = 1 for update: prevented: B waited for A, then declined: 402"
        in said
    )
    (kept,) = Path(".integrity/races").glob("*.json")
    assert json.loads(kept.read_text())["scenario"]["token"].endswith(":r")
    code, out, _ = integrity(str(kept), command="replay")
    assert (code, "came back 1 of 1 time" in " ".join(out.split())) == (1, True), out


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('[login]\nrequests = ["POST /stranger"]', "login: POST /stranger"),
        ('[setup]\nrequests = ["POST /no-method"]', "setup.requests: POST /no-method"),
        ('[setup]\nsql = "insert into nowhere values (1)"', 'setup.sql: the database refuses it: relation "nowhere"'),
        ("ready_s = 0.2\n", "port"),
    ],
)
def test_what_goes_wrong_before_a_schedule_ends_the_race_with_its_place_and_a_next_step(
    integrity: Command, said: str, told: str
) -> None:
    command = "sleep 60" if "ready_s" in said else UNRULY
    actors = '[[actors]]\ncount = 2\nrequests = ["POST /sell"]'
    Path("scenarios").mkdir()
    Path("scenarios/a.toml").write_text(f'[app]\ncommand = "{command}"\n{said}\n{actors}\n')
    code, _, err = integrity("--scenario", "a")
    assert (code, told in " ".join(err.split()), "hint: " in err) == (2, True, True), err
