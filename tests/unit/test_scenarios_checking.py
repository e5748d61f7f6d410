"""Every key of a scenario is tried as its file is read: place, value, reason, what was meant, before anything is begun."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integrity.errors import UsageError
from integrity.project import find_project
from integrity.scenarios import scenario as models
from integrity.scenarios.reading import scenario_of
from integrity.scenarios.subject import subject_of_curl, subject_of_file

BEGIN = """[app]
url = "http://127.0.0.1:8000"
[values]
wallet = 7
"""
ACTOR = '[[actors]]\ncount = 2\nrequests = ["POST /pay"]\n'


def actor(request: str) -> str:
    return f"{BEGIN}[[actors]]\ncount = 2\nrequests = [\n  {request},\n]\n"


WRONG = {
    "a value of a URL": (
        actor("'POST /pay/{walet}'"), "8:14: actors.0.requests.0: there is no value walet",
        "meant wallet.",
    ),
    "of a body": (
        actor("""'POST /pay {"id": {walet}}'"""), "8:21: actors.0.requests.0: there is no value walet",
        "meant wallet.",
    ),
    "of a body, spelt like none": (
        actor("""'POST /pay {"code": "{cod}", "cents": 800}'"""), "8:24: actors.0.requests.0: there is no value cod",
        "Known: wallet. To send {cod} as it stands",
    ),
    "of a number of a body": (
        actor("""{ url = "/pay", json = { cents = "{amount}" } }"""), "8:37: actors.0.requests.0: there is no value amount",
        "Known: wallet.",
    ),
    "of a later request": (
        actor("""{ url = "/a", take = { b = "$.b" } }, "GET /{c}" """),
        "8:47: actors.0.requests.1: there is no value c",
        "Known: ",
    ),
    "of a setup": (
        f'{BEGIN}[setup]\nrequests = ["POST /{{w}}"]\n{ACTOR}', "6:20: setup.requests.0: there is no value w",
        "Known: wallet.",
    ),
    "a method": (
        actor("'PSOT /pay'"), "8:4: actors.0.requests.0: 'PSOT' is no method",
        "POST",
    ),
    "a status": (
        actor("{ url = '/a', expected = '2x' }"), "actors.0.requests.0: expected: '2x' is no status",
        "2xx",
    ),
    "a place in an answer": (
        actor("{ url = '/a', take = { b = 'b' } }"), "take.b: 'b' says nothing",
        "$.data",
    ),
    "a token's place": (
        f"{BEGIN}[login]\nrequests=['POST /in']\nbearer = 'token'\n{ACTOR}", "7:1: login.bearer: 'token' says",
        "$.data",
    ),
    "statuses": (
        f"{BEGIN}{ACTOR}[expect]\nstatuses = ['ok']\n", "9:1: expect.statuses: 'ok' is no status",
        "2xx",
    ),
    "an address": (
        f"[app]\nurl = 'localhost:8000'\n{ACTOR}", "2:1: app.url: 'localhost",
        "http://127.0.0.1:8000",
    ),
    "a port": (
        f"[app]\nurl = 'http://a:b'\n{ACTOR}", "2:1: app.url: 'a:b' has no port",
        "PORT",
    ),
    "a path": (
        f"{BEGIN}{ACTOR}".replace("[values]", "ready = 'health'\n[values]"), "3:1: app.ready: 'health' is neither",
        "/health",
    ),
    "a file": (
        f"{BEGIN}[setup]\nsql = 'rows.sql'\n{ACTOR}", "6:1: setup.sql: there is no file 'rows.sql'",
        "project's folder",
    ),
    "a name": (
        actor("'pay'"), "actors.0.requests.0: 'pay' is no request of integrity.toml",
        "POST /pay",
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "integrity.toml").write_text("")
    (tmp_path / "scenarios").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str) -> None:
    Path("scenarios/pay.toml").write_text(text)
    subject_of_file(find_project(Path()), "pay")


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_told_as_the_file_is_read(folder: Path, name: str) -> None:
    text, said, hint = WRONG[name]
    with pytest.raises(UsageError) as refused:
        read(text)
    place, *shown = refused.value.message.split("\n")
    assert said in place
    assert hint in (refused.value.hint or "")
    number, column = map(int, place.partition(".toml:")[2].split(":")[:2])
    line = text.splitlines()[number - 1]
    assert shown == ([] if "token" in line else [f"  {number} | {line}", f"{' ' * (column + 5)}^"]), shown


def test_what_nobody_knows_yet_is_not_refused(folder: Path) -> None:
    read(f"{BEGIN}[setup]\npython = 'rows:make'\n{ACTOR.replace('/pay', '/pay/{made}')}")
    read(actor("""'POST /graphql {"query": "{ accounts }"}'"""))
    read(f"{BEGIN}{ACTOR}".replace("8000", "${PORT}").replace("[values]", "command = 'x'\n[values]"))
    with pytest.raises(UsageError, match=r"^--curl: actors.0.requests.0: there is no value wallet"):
        subject_of_curl(find_project(folder), ["curl http://127.0.0.1:9/{wallet}"], "", "x", count=2)


def test_a_line_that_may_hold_a_secret_is_not_shown(folder: Path) -> None:
    with pytest.raises(UsageError) as refused:
        read(actor("'PSOT /login password=x7secret'"))
    assert "x7secret" not in str(refused.value)


TABLES: dict[str, Any] = {
    "app": models.App, "database": models.Database, "setup": models.Setup, "login": models.Login, "expect": models.Expect,
    "actors": models.ActorTable, "volatile": models.Volatile, "requests": models.RequestTable,
}  # fmt: skip


def fields(model: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of all keys of a scenario."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        yield (*path, key)
        if key in TABLES:
            yield from fields(TABLES[key], (*path, key, *((0,) if key in ("actors", "requests") else ())))


def put(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return a scenario with a value at a path."""
    given: Any = value
    for part in reversed(path):
        given = [given] if part == 0 else {part: given}
    if path[0] != "actors":
        given["actors"] = [{"requests": ["GET /"], "count": 2}]
    return dict(given)


def mistake_of(path: tuple[Any, ...], value: Any) -> UsageError | None:
    try:
        scenario_of(put(path, value), file=Path("pay.toml"))
    except UsageError as error:
        return error
    return None


def test_a_value_of_a_wrong_kind_is_told_in_words_of_the_file_whichever_key_it_has() -> None:
    paths = list(fields(models.Scenario))
    values: list[Any] = [7, "x y", [[]], {"a": {"b": []}}, -1.5, []]
    mistakes = [(path, mistake) for path in paths for value in values if (mistake := mistake_of(path, value))]
    foreign = [each.message for _, each in mistakes if re.search(r"[Ii]nput|should|Field|valid|instance", each.message)]
    assert (foreign, [each.message for _, each in mistakes if not each.hint]) == ([], [])
    said = ("nothing to do", "races nobody", "login.requests: it is needed")
    unplaced = [
        each.message
        for path, each in mistakes
        if ".".join(map(str, path)) not in each.message and not any(one in each.message for one in said)
    ]
    assert unplaced == []
    assert (len(paths) > 60, len(mistakes) > 150) == (True, True), (len(paths), len(mistakes))
