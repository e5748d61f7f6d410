"""Runs and invariants that cannot be read: the audit says which, judges the others, and nothing of them is lost."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from integrity.engines.target import Target
from tests.snapshots.bad_input import Bad, assert_one_paragraph, bad, files_in, lay_out, on_database
from tests.snapshots.conftest import Run

RUNS = ".integrity/runs"
RUN = f"{RUNS}/20260101-000000-ghostpass-hammer"
OTHER = "-- title: one is one\nselect 1 as x where 1 = 2\n"

SQL: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "title"),
    "no title": ("select 1 as x", "title"),
    "a torn query": ("-- title: t\nselect id from ghostpass.wallets where (", "syntax error"),
    "two statements": ("-- title: t\nselect 1 as x;\nselect 2 as x", "more than one statement"),
    "a write": ("-- title: t\ndelete from ghostpass.wallets", "not one read-only select"),
    "a write in a with": (
        "-- title: t\nwith a as (delete from ghostpass.wallets returning id) select id from a",
        "read-only",
    ),
    "a lock": ("-- title: t\nselect id from ghostpass.wallets for update", ""),
    "an unknown key": ("-- title: t\n-- severtiy: error\nselect 1 as x", "severtiy"),
    "an unknown severity": ("-- title: t\n-- severity: fatal\nselect 1 as x", "severity"),
    "a parameter without a value": ("-- title: t\nselect id from ghostpass.wallets where id > :least", "least"),
    "no text": (b"-- title: t\xff\xfe\nselect 1 as x", "UTF-8"),
    "a byte of nothing": (b"-- title: t\nselect 1 as x\x00", ""),
    "three thousand brackets": (f"-- title: t\nselect {'(' * 3000}1{')' * 3000} as x", ""),
    "three hundred selects": (f"-- title: t\nselect x from {'(select x from ' * 300}(select 1 as x) a{') a' * 300}", ""),
    "a table that there is not": ("-- title: t\nselect id from ghostpass.wallet", "ghostpass.wallet"),
    "a column that there is not": ("-- title: t\nselect idd from ghostpass.wallets", "idd"),
    "a division by zero": ("-- title: t\nselect 1 / (id - id) as x from ghostpass.wallets", ""),
    "a number of five thousand digits": (f"-- title: t\nselect {'9' * 5000} as x where 1 = 2", ""),
}


@pytest.fixture
def on_seeded(run_here: Run, seeded: Target, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", seeded.text)
    return run_here


@pytest.mark.parametrize(("content", "said"), SQL.values(), ids=list(SQL))
def test_an_invariant_that_cannot_be_asked_is_one_unknown_and_no_more(
    on_seeded: Run, content: str | bytes, said: str
) -> None:
    folder = Path("invariants")
    folder.mkdir()
    (folder / "bad.sql").write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "good.sql").write_text(OTHER)
    code, out, err = on_seeded("validate", "--select", "bad", "--select", "good", "--json")
    assert "Traceback" not in out + err
    verdicts = {each["name"]: each for each in json.loads(out)["invariants"]}
    assert verdicts["good"]["verdict"] == "holds", err
    bad_one = verdicts["bad"]
    assert bad_one["verdict"] in ("unknown", "violated", "holds")
    assert code == {"unknown": 3, "violated": 1, "holds": 0}[bad_one["verdict"]]
    if said:
        assert bad_one["verdict"] == "unknown"
        assert said in bad_one["reason"]
    assert len(bad_one.get("reason") or "") < 2000


STATES: dict[str, Mapping[str, str | bytes]] = {
    "a file among the runs": {f"{RUNS}/notes.txt": "mine"},
    "a folder without anything": {f"{RUN}/x": ""},
    "torn settings": {f"{RUN}/settings.json": '{"system": "ghost', f"{RUN}/history.jsonl": ""},
    "settings of nothing": {f"{RUN}/settings.json": "", f"{RUN}/history.jsonl": ""},
    "settings that are a list": {f"{RUN}/settings.json": "[]", f"{RUN}/history.jsonl": ""},
    "settings nested too deeply": {f"{RUN}/settings.json": "[" * 100_000, f"{RUN}/history.jsonl": ""},
    "settings that are no text": {f"{RUN}/settings.json": b"\xff\xfe", f"{RUN}/history.jsonl": ""},
    "a history of garbage": {f"{RUN}/settings.json": "{}", f"{RUN}/history.jsonl": "garbage\n" * 3},
    "a torn result": {f"{RUN}/settings.json": "{}", f"{RUN}/result.json": "{"},
    "a name that a terminal obeys": {f"{RUNS}/\x1b[31m/settings.json": "{}"},
}


@pytest.mark.parametrize("files", STATES.values(), ids=list(STATES))
@pytest.mark.parametrize("command", ["validate --select ghostpass/balance-*", "stop", "reproduce x", "health"])
def test_a_run_folder_that_cannot_be_read_ends_no_command_in_a_traceback(
    on_seeded: Run, tmp_path: Path, command: str, files: Mapping[str, str | bytes]
) -> None:
    lay_out(bad("", files=files), tmp_path)
    before = files_in(tmp_path)
    code, out, err = on_seeded(*command.split())
    if code == 2:
        assert_one_paragraph((code, out, err), code=2, said=())
    assert code in (0, 2, 3)
    assert "Traceback" not in out + err
    assert "\x1b" not in out + err
    assert not list(tmp_path.glob(".integrity/errors/*")), err
    after = files_in(tmp_path)
    assert {name: after.get(name) for name in before} == before


RUN_IDS = [
    on_database("validate --run ../../etc", "no run '../../etc'"),
    on_database(("validate", "--run", ""), "no run ''"),
    on_database(("validate", "--run", "a\x1bb"), "no run 'a\\x1bb'"),
    on_database("stop ..", "no run '..'"),
    on_database("reproduce x --run ..", "run '..' has not been audited"),
]


@pytest.mark.parametrize("case", RUN_IDS, ids=str)
def test_a_run_is_a_folder_of_the_projects(refuse: Callable[[Bad], None], case: Bad) -> None:
    refuse(case)
