"""The names by which the plans' scripts are told what to do: each is read, from the environment or a file, and acts.

A name that is set and changes nothing is worse than none: somebody believes that it does.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from integrity.cli.main import main
from integrity.clients.http import server_of
from integrity.domain import World
from integrity.endpoints.login import BYPASS, password_of
from integrity.endpoints.signature import SIGNATURE, why_not_signed
from integrity.environment import read_file
from integrity.errors import UsageError
from integrity.http.origin import read_origin
from integrity.jobs import run as jobs_run
from integrity.jobs.plan_names import NAMES, check_environment, describe_unset, find_port
from integrity.jobs.run import ChosenRun, choose
from integrity.load.over_http import OverHttp, try_out
from integrity.load.profile import OpenProfile
from integrity.load.workload import Workload
from integrity.project import find_project
from integrity.registry import SYSTEMS
from integrity.runs.shape import LoadSweep
from tests.unit.http_server import Got, Reply, serving

URL = "http://127.0.0.1:8123"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.{}.c2lnbmF0dXJl"


def chosen(name: str, system: str, environment: Mapping[str, str], folder: Path) -> ChosenRun:
    return choose(find_project(folder), name, system_name=system, environment=environment)


def of_profile(system: str, name: str, read: Callable[[OpenProfile], Any]) -> Callable[[Mapping[str, str], Path], Any]:
    def effect(environment: Mapping[str, str], folder: Path) -> Any:
        profile = chosen(name, system, environment, folder).profile
        assert isinstance(profile, OpenProfile)
        return read(profile)

    return effect


def target_of(system: str) -> Callable[[Mapping[str, str], Path], Any]:
    return lambda environment, folder: str(chosen("hammer", system, environment, folder).origin)


def asked_with(header: str, system: str = "inbox") -> Callable[[Mapping[str, str], Path], Any]:
    """Return what tells which values a server sees in a header of the requests that a run begins with."""

    def effect(environment: Mapping[str, str], folder: Path) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return {each for got in trial(system, "") if (each := seen(got, header))}

    return effect


def seen(got: Got, header: str) -> str:
    if header == "password":
        return str(json.loads(got.body)["password"]) if "password" in got.body else ""
    return got.headers.get(header, "")


def trial(system: str, venue: str, *, health: Mapping[str, str] = MappingProxyType({})) -> list[Got]:
    """Return the requests that a run begins with."""
    run = choose(find_project(Path("/")), "hammer", system_name=system)
    workload = Workload(run.system, run.profile, None, seed=1)
    world = World({pool: [7] for pool in run.system.pools}, hot_share=0.0, hot_count=1)

    def answer(got: Got) -> Reply:
        if got.path == "/health":
            return Reply(body=json.dumps({"status": "ok", "system": system, **health}))
        login = Reply(body='{"access_token": "abc"}')
        return login if "password" in got.body else Reply(429, '{"outcome": "declined", "reason": "rate_limited"}')

    with serving(answer) as site:
        try_out(OverHttp(server_of(read_origin(site.url, place="here"), run.system), venue=venue), workload, world)
    return site.got


def signed_by_the_client(environment: Mapping[str, str], folder: Path) -> Any:
    """Return what a server with that key says of a webhook that a client sends with what its environment says."""
    system = SYSTEMS["ghostpass"]
    assert system.endpoints is not None
    given = {"event_id": "e1", "funding_id": 1, "kind": "payment_failed"}
    asked = system.endpoints.encode("receive_funding_webhook", given, UUID(int=1))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        server = server_of(read_origin(URL, place="here"), system)
    headers = asyncio.run(server.headers_of(asked, server.connect()))
    return why_not_signed(headers.get(SIGNATURE, ""), asked.body, "sk_test_1", now_s=time.time()) or "taken"


def venue_refused(environment: Mapping[str, str], folder: Path) -> Any:
    with pytest.raises(UsageError, match="it is of venue 'other', and 'test-venue-001' is asked for"):
        trial("ghostpass", chosen("hammer", "ghostpass", environment, folder).venue, health={"venue": "other"})
    return chosen("hammer", "ghostpass", environment, folder).venue


def keys_of(pool: str) -> Callable[[OpenProfile], Any]:
    return lambda profile: profile.keys.get(pool)


EFFECTS: Mapping[str, tuple[Mapping[str, str], Callable[[Mapping[str, str], Path], Any], Any]] = {
    "LOADTEST_BASE_URL": ({"LOADTEST_BASE_URL": URL}, target_of("instainstru"), URL),
    "API_BASE_URL": ({"API_BASE_URL": URL}, target_of("ghostpass"), URL),
    "SUPABASE_URL": ({"SUPABASE_URL": URL}, target_of("inbox"), URL),
    "LOADTEST_USERS": (
        {"LOADTEST_USERS": "participant_id.41@example.org, participant_id.42@example.org"},
        of_profile("instainstru", "burst", keys_of("participants")),
        ("41", "42"),
    ),
    "LOADTEST_PASSWORD": ({"LOADTEST_PASSWORD": "secret-1"}, asked_with("password"), {"secret-1"}),
    "SUPABASE_ANON_KEY": ({"SUPABASE_ANON_KEY": "anon-1"}, asked_with("apikey"), {"anon-1"}),
    "SUPABASE_SERVICE_KEY": (
        {"SUPABASE_SERVICE_KEY": "service-1"},
        asked_with("authorization"),
        {"Bearer service-1", "Bearer abc"},
    ),
    "LOADTEST_BYPASS_TOKEN": ({"LOADTEST_BYPASS_TOKEN": "let-me"}, asked_with(BYPASS), {"let-me"}),
    "STRIPE_TEST_KEY": ({"STRIPE_TEST_KEY": "sk_test_1"}, signed_by_the_client, "taken"),
    "TEST_VENUE_ID": ({"TEST_VENUE_ID": "test-venue-001"}, venue_refused, "test-venue-001"),
    "LOADTEST_SSE_HOLD_SECONDS": (
        {"LOADTEST_SSE_HOLD_SECONDS": "25"},
        of_profile("instainstru", "messaging", lambda profile: round(profile.of_usual, 3)),
        0.4,
    ),
    "USER_COUNTS": (
        {"USER_COUNTS": "25 50 75 100"},
        of_profile(
            "instainstru", "capacity", lambda profile: profile.steps and (profile.steps.factors, profile.duration_s)
        ),
        ((0.25, 0.5, 0.75, 1.0), 1200.0),
    ),
    "SSE_HOLD_TIMES": (
        {"SSE_HOLD_TIMES": "20,10"},
        of_profile("instainstru", "throughput", lambda profile: profile.steps and profile.steps.headings),
        ("hold 20 s", "hold 10 s"),
    ),
    "S2_USERS": ({"S2_USERS": "75"}, of_profile("instainstru", "throughput", lambda profile: profile.clients), 75),
    "S3_USERS": ({"S3_USERS": "200"}, of_profile("instainstru", "burst", lambda profile: profile.clients), 200),
    "S4_USERS": ({"S4_USERS": "200"}, of_profile("instainstru", "soak", lambda profile: profile.clients), 200),
    "S4_DURATION": ({"S4_DURATION": "4h"}, of_profile("instainstru", "soak", lambda profile: profile.duration_s), 14400.0),
    "TEST_GATEWAY_1_ID": (
        {"TEST_GATEWAY_1_ID": "2", "TEST_GATEWAY_2_ID": "1"},
        of_profile("ghostpass", "pilot", keys_of("gateways")),
        ("2", "1"),
    ),
}
OF_OTHERS = {"TEST_GATEWAY_2_ID": "TEST_GATEWAY_1_ID"}
"""Names whose effect another's case shows."""


@pytest.mark.parametrize("name", EFFECTS)
def test_each_name_of_the_environment_changes_what_it_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, effect, expected = EFFECTS[name]
    for each in NAMES:
        monkeypatch.delenv(each, raising=False)

    assert effect(environment, tmp_path) == expected
    if name != "TEST_VENUE_ID":  # without it nothing is refused, which is no value
        assert effect({}, tmp_path) != expected


def test_no_name_is_read_of_which_no_case_shows_the_effect() -> None:
    assert set(NAMES) == EFFECTS.keys() | OF_OTHERS.keys()


def test_an_option_outranks_a_variable_and_what_is_not_set_and_not_read_is_said_by_name(tmp_path: Path) -> None:
    environment = {"S3_USERS": "200", "LOADTEST_BASE_URL": URL, "USER_COUNTS": "5"}
    run = choose(find_project(tmp_path), "burst", system_name="instainstru", users="50", environment=environment)

    assert isinstance(run.profile, OpenProfile)
    assert run.profile.clients == 50
    assert run.notes == (
        f"from the environment: LOADTEST_BASE_URL={URL}",
        "set, and not read by this run: USER_COUNTS, S3_USERS",
        "not set: LOADTEST_PASSWORD (everybody logs in with the test servers' own)",
    )


def test_a_server_says_which_secrets_it_is_started_without() -> None:
    told = describe_unset(SYSTEMS["streamvote"], {"LOADTEST_PASSWORD": "x", "SUPABASE_ANON_KEY": ""})

    assert list(told) == ["not set: STRIPE_TEST_KEY"]


def test_what_a_systems_requests_do_not_have_is_not_missed(tmp_path: Path) -> None:
    run = choose(find_project(tmp_path), "hammer", system_name="inbox", environment={"SUPABASE_URL": URL})

    assert run.notes[-1].startswith("not set: LOADTEST_PASSWORD (")
    assert [name for name in NAMES if name in run.notes[-1]] == [
        "LOADTEST_PASSWORD", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_KEY", "LOADTEST_BYPASS_TOKEN", "STRIPE_TEST_KEY",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "system", "asked", "said"),
    [
        ("capacity", "instainstru", {"users": "25,x"}, "--users: 'x' is not an integer"),
        ("capacity", "instainstru", {"users": "0"}, "--users: '0' is not an integer from 1"),
        ("throughput", "instainstru", {"users": "25,50", "hold": "20,10"}, "users and times to hold are both several"),
        ("hammer", "instainstru", {"users": "25"}, "--users: the profile is a closed loop"),
        ("pilot", "ghostpass", {"hold": "5"}, "--hold: nobody holds anything in this profile"),
        ("burst", "instainstru", {"users": "50%of:none"}, "there is no run 'none'"),
        ("pilot", "ghostpass", {"keys": {"dors": ["1"]}}, "--key dors: ghostpass has no pool 'dors'"),
        ("hammer", "ghostpass", {"keys": {"gateways": ["1"]}}, "no stream is pinned to one of gateways"),
        ("burst", "instainstru", {"accounts": ["bob@example.org"]}, "nobody of instainstru logs in as 'bob@example.org'"),
        ("pilot", "ghostpass", {"environment": {"TEST_GATEWAY_1_ID": "1"}}, "TEST_GATEWAY_2_ID is not set, and"),
        ("soak", "instainstru", {"environment": {"S4_DURATION": "long"}}, "S4_DURATION: 'long' is no duration"),
        ("burst", "instainstru", {"environment": {"API_BASE_URL": "http://shop.example"}}, "API_BASE_URL: http://shop.ex"),
    ],
)
def test_what_cannot_be_is_refused_with_the_option_or_variable_that_says_it(
    name: str, system: str, asked: Mapping[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        choose(find_project(tmp_path), name, system_name=system, **asked)
    assert said in str(caught.value)
    assert caught.value.hint


def test_an_empty_password_is_refused_and_a_server_listens_where_a_variable_says(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="LOADTEST_PASSWORD is set, and empty"):
        password_of({"LOADTEST_PASSWORD": " "})
    assert find_port({"API_BASE_URL": URL}, otherwise=8000) == 8123
    assert find_port({}, otherwise=8000) == 8000


FILE = """# as a script has it
export S3_USERS="200"  # of the burst
LOADTEST_PASSWORD='a # b'
EMPTY=
PLAIN = x y # why
LINES="one\\ntwo"
"""


def test_a_file_of_variables_is_read_as_a_shell_would_and_the_environment_outranks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "test.env"
    file.write_text(FILE)
    assert read_file(file) == {
        "S3_USERS": "200", "LOADTEST_PASSWORD": "a # b", "EMPTY": "", "PLAIN": "x y", "LINES": "one\ntwo",
    }  # fmt: skip
    for text, said in (("what\n", ":1: this line is not NAME=value"), ("A='x\n", ":1: A: its quotation mark")):
        file.write_text(text)
        with pytest.raises(UsageError, match=said):
            read_file(file)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("S3_USERS", raising=False)
    for said, variable in (("S3_USERS: 'many' is", None), ("S3_USERS: 'few' is", "few")):
        file.write_text("S3_USERS=many\n")
        if variable:
            monkeypatch.setenv("S3_USERS", variable)
        with pytest.raises(SystemExit) as ended:
            main(["run", "burst", "--system", "instainstru", "--env-file", "test.env"])
        assert (ended.value.code, said in capsys.readouterr().err) == (2, True)


LIVE = {
    "stripe": "sk_" + "live_51abcdefgh",
    "mollie": "live_" + "a" * 30,
    "aws": "AKIA" + "ABCDEFGHIJKLMNOP",
    "twilio account": "AC" + "0123456789abcdef" * 2,
    "twilio key": "SK" + "0123456789abcdef" * 2,
    "sendgrid": "SG." + "a" * 22 + "." + "b" * 43,
    "slack": "xoxb-" + "1234567890-abcdef",
    "telegram": "123456789:AA" + "b" * 33,
    "meta": "EAA" + "c" * 80,
    "google": "AIza" + "d" * 35,
    "github": "ghp_" + "e" * 36,
    "service": "sb_secret_" + "f" * 20,
    "private key": "-----BEGIN RSA PRIVATE KEY-----",
    "foreign issuer": TOKEN.format("eyJpc3MiOiJodHRwczovL2F1dGguc2hvcC5leGFtcGxlIn0"),
    "hosted project": TOKEN.format("eyJpc3MiOiJzdXBhYmFzZSIsInJlZiI6ImFiY2QifQ"),
}
HARMLESS = {
    "stripe's test mode": "sk_test_51abcdefgh",
    "a local stack's": TOKEN.format("eyJpc3MiOiJzdXBhYmFzZS1kZW1vIn0"),
    "nobody's": TOKEN.format("eyJzdWIiOiIxIn0"),
    "this machine's": TOKEN.format("eyJpc3MiOiJodHRwOi8vMTI3LjAuMC4xOjk5OTkifQ"),
    "a word": "ACcountSKip live_ AKIA",
    "a hash": "0123456789abcdef" * 4,
}


@pytest.mark.parametrize("kind", LIVE)
def test_a_key_that_looks_live_is_refused_wherever_it_stands_and_not_shown(kind: str, tmp_path: Path) -> None:
    key = LIVE[kind]
    project = find_project(tmp_path)
    (tmp_path / "integrity.toml").write_text(f'[targets.shop]\nurl = "http://127.0.0.1:1"\nheaders = ["key: {key}"]\n')
    checks: Mapping[str, Callable[[], object]] = {
        "integrity.toml: targets.shop.headers.0 holds ": lambda: check_environment(find_project(tmp_path), {}),
        "the environment: STRIPE_TEST_KEY holds ": lambda: check_environment(project, {"STRIPE_TEST_KEY": key}),
        "--env-file: ANY holds ": lambda: check_environment(project, {}, env_file={"ANY": key}),
        "--target: its user or password is ": lambda: read_origin(f"http://u:{quote(key)}@127.0.0.1:1", place="--target"),
    }
    for told, check in checks.items():
        with pytest.raises(UsageError) as caught:
            check()
        assert told in str(caught.value)
        assert key not in str(caught.value)


@pytest.mark.parametrize("kind", HARMLESS)
def test_a_key_of_a_test_account_is_taken(kind: str, tmp_path: Path) -> None:
    check_environment(find_project(tmp_path), {"STRIPE_TEST_KEY": HARMLESS[kind]}, env_file={"A": HARMLESS[kind]})


def test_the_token_of_a_host_that_the_project_lists_is_taken_and_what_nobody_reads_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "integrity.toml").write_text('[targets.staging]\nurl = "https://abcd.supabase.example"\n')
    environment = {"SUPABASE_ANON_KEY": LIVE["hosted project"], "AWS_ACCESS_KEY_ID": LIVE["aws"]}

    check_environment(find_project(tmp_path), environment)


SAFE = {
    ("subscribers", 160.0): ("throughput", 80),
    ("arrivals per second", 24.84): ("messaging", 60),  # 100 users there are 20.7 arrivals a second
}


@pytest.mark.parametrize(("of", "ceiling"), [*SAFE, ("subscribers", None)])
def test_a_share_of_what_another_run_found_safe_is_so_many_users(
    of: str, ceiling: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = LoadSweep(of=of, loads=(), knee=None, first_warning=None, safe_ceiling=ceiling)
    folder = SimpleNamespace(result=lambda: SimpleNamespace(sweep=sweep))
    monkeypatch.setattr(jobs_run, "find_folder", lambda project, run_id: folder)
    if ceiling is None:
        with pytest.raises(UsageError, match="run r1 found no load that is safe: no load of its sweep was over a warning"):
            choose(find_project(tmp_path), "throughput", system_name="instainstru", users="50%of:r1")
        return
    profile, users = SAFE[of, ceiling]

    run = choose(find_project(tmp_path), profile, system_name="instainstru", users="50%of:r1")

    assert run.profile.clients == users
