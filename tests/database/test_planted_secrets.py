"""One of each secret is planted, in the environment and in what an application answers and logs; nothing that is left of a
run, of its audit and of their reports holds it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.endpoints.record import PATH
from integrity.endpoints.signature import sign
from integrity.serve.record import Record
from tests.unit.http_server import Got, Reply, serving

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJlLXBsYW50ZWQ"
SIGNATURE = sign(b"planted", "planted", now_s=1).partition("v1=")[2]
ENVIRONMENT = {
    "LOADTEST_PASSWORD": "planted-password",
    "LOADTEST_BYPASS_TOKEN": "planted-bypass",
    "SUPABASE_ANON_KEY": "planted-anon",
    "SUPABASE_SERVICE_KEY": "planted-service",
    "STRIPE_TEST_KEY": "sk_test_planted01",
}
COOKIE = "planted-cookie"
SECRETS = (*ENVIRONMENT.values(), JWT, SIGNATURE, COOKIE, "planted-basic")


def answer(got: Got) -> Reply:
    """Answer as an application does that tells all it knows when something goes wrong."""
    if got.path == "/health":
        return Reply(body='{"status": "ok", "system": "streamvote"}')
    if got.path.startswith(PATH):
        return Reply(body=Record().page(0, 0, owed=0, owed_since=0).decode())
    if got.path == "/api/login":
        return Reply(body=json.dumps({"access_token": JWT}))
    if got.method == "GET":
        return Reply(429, '{"outcome": "declined", "reason": "rate_limited"}')
    told = {"headers": dict(got.headers), "set-cookie": f"session={COOKIE}", "body": got.body, "environment": ENVIRONMENT}
    return Reply(500, json.dumps({**told, "webhook-signature": f"t=1,v1={SIGNATURE}"}), (("Set-Cookie", f"s={COOKIE}"),))


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes().decode("utf-8", "replace")


@pytest.mark.exhaustive
def test_no_secret_is_in_what_is_left_of_a_run_and_its_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    log = tmp_path / "app.log"
    log.touch()
    quick = 'extends = "hammer"\nduration_s = 0.2\nclients = 2\ndrain_s = 0.1\nsubscribers = []\nthresholds = []\n'
    (tmp_path / "integrity.toml").write_text(f"[profiles.streamvote.planted]\n{quick}")
    on = ["--database", "sqlite:///votes.db"]

    def play(*words: str) -> None:
        with pytest.raises(SystemExit):
            main([*words, *on])

    def tell(got: Got) -> Reply:
        with log.open("a") as file:
            file.write(f"ERROR Cookie: {COOKIE} Authorization: Bearer {JWT} key {ENVIRONMENT['STRIPE_TEST_KEY']}\n")
        return answer(got)

    play("seed", "--system", "streamvote", "--wallets", "20", "--streamers", "2")
    with serving(tell) as site:
        target = site.url.replace("http://", "http://load:planted-basic@")
        asked = ["--system", "streamvote", "--target", target, "--log", str(log)]
        play("run", "planted", *asked, "--json")
        play("run", "planted", *asked)
    for form in ("text", "json", "junit", "markdown"):
        play("validate", "--system", "streamvote", "--format", form)
    log.unlink()
    captured = capfd.readouterr()
    left = {"stdout": captured.out, "stderr": captured.err, **dict(texts(tmp_path))}

    assert "HTTP 500" in "".join(text for name, text in left.items() if name.startswith(".integrity/runs/"))
    assert "ERROR Cookie: ***" in "".join(left.values())
    assert [(name, secret) for name, text in left.items() for secret in SECRETS if secret in text] == []
