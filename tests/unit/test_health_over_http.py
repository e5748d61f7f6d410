"""Health of a server: each look that comes to nothing says what came, and names the setting to look at."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.clients.http import Server
from integrity.endpoints.signature import SIGNATURE, why_not_signed
from integrity.health import over_http
from integrity.health.check import Health
from integrity.health.over_http import check_server
from integrity.http.origin import read_origin
from integrity.registry import SYSTEMS
from tests.unit.http_server import Got, Reply, serving

WEBHOOK = "/api/payments/stars/webhook"
Answer = Callable[[Got], Reply | None]
DECLINED = Reply(404, '{"outcome": "declined", "reason": "unknown_invoice"}')


def sound(got: Got) -> Reply:
    """Answer as a sound server does that has the key."""
    if got.path == "/health":
        return Reply(body='{"status": "ok", "system": "streamvote"}')
    if got.path == "/api/login":
        is_right = json.loads(got.body)["password"] == "pw"
        return Reply(body='{"access_token": "abc"}') if is_right else Reply(401, "no")
    if got.path.endswith("/webhook"):
        why = why_not_signed(got.headers.get(SIGNATURE, ""), got.body.encode(), "sign", now_s=time.time())
        return Reply(401, why) if why else DECLINED
    return Reply(404)


def but(path: str, reply: Reply | None) -> Answer:
    return lambda got: reply if got.path.startswith(path) else sound(got)


def checked(answer: Answer, *, key: str = "sign") -> dict[str, tuple[Health, str, str]]:
    system = SYSTEMS["streamvote"]
    with serving(answer) as site:
        server = Server(read_origin(site.url, place="here"), system, password="pw", webhook_key=key)
        checks = check_server(server, system, {pool: [7] for pool in system.pools})
    return {check.name.partition(" ")[0]: (check.state, check.found, check.hint) for check in checks}


def test_a_server_that_is_sound_is_told_to_be_with_the_time_that_each_look_may_take() -> None:
    found = checked(sound)

    assert {name: state for name, (state, _, _) in found.items() if name != "socket"} == {
        "server": Health.OK, "login": Health.OK, "webhook": Health.OK,
    }  # fmt: skip
    assert found["login"][1].endswith("of 5 s")
    assert "takes a signed one, and no other" in found["webhook"][1]
    assert found["socket"][0] is Health.FAILED  # it opens none
    assert "it was not opened" in found["socket"][1]


@pytest.mark.parametrize(
    ("answer", "name", "state", "found", "hint"),
    [
        (but("/health", Reply(503, '{"status": "unavailable"}')), "server", "failed", "HTTP 503", "database"),
        (but("/health", Reply(body='{"system": "inbox"}')), "server", "failed", "it serves inbox", "--system inbox"),
        (but("/health", None), "server", "failed", "closed", "LOADTEST_BASE_URL"),
        (but("/api/login", Reply(401, "no")), "login", "failed", "HTTP 401", "LOADTEST_PASSWORD"),
        (
            but(WEBHOOK, Reply(401, "key")),
            "webhook",
            "failed",
            "HTTP 401",
            "STRIPE_TEST_KEY the same",
        ),
        (but(WEBHOOK, Reply(404, "x")), "webhook", "failed", "HTTP 404", "log"),
        (but(WEBHOOK, Reply(500, "x")), "webhook", "failed", "HTTP 500", "log"),
        (but(WEBHOOK, DECLINED), "webhook", "failed", "not signed, though", "Start the server with"),
    ],
)
def test_what_is_not_right_is_told_with_what_came_and_the_setting_to_look_at(
    answer: Answer, name: str, state: str, found: str, hint: str
) -> None:
    checks = checked(answer)

    assert checks[name][0].value == state
    assert found in checks[name][1]
    assert hint in checks[name][2]
    assert name != "server" or list(checks) == ["server"]  # nothing else is asked of who does not answer


def test_webhooks_without_a_key_are_a_warning_and_a_look_has_a_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    state, found, hint = checked(but(WEBHOOK, DECLINED), key="")["webhook"]
    assert (state, "anybody could send it" in found, "STRIPE_TEST_KEY" in hint) == (Health.WARNING, True, True)

    monkeypatch.setattr(over_http, "LOGIN_S", 0.0)
    state, found, hint = checked(sound)["login"]
    assert (state, found, hint) == (Health.FAILED, "no answer within 0 s", "Look at LOADTEST_PASSWORD.")


def test_the_command_tells_what_failed_and_does_not_go_on_to_smoke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "votes.db").touch()
    with serving(but("/api/login", Reply(401, "no"))) as site:
        monkeypatch.setenv("API_BASE_URL", site.url)
        with pytest.raises(SystemExit) as ended:
            main(["health", "--with-smoke", "--json", "--database", "sqlite:///votes.db"])
    told = {check["name"]: check["state"] for check in json.loads(capsys.readouterr().out)["checks"]}

    assert (ended.value.code, told["server"], told["login"]) == (3, "ok", "failed")
