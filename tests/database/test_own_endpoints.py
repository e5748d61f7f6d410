"""Somebody's own endpoints, loaded over HTTP: the application of examples/wallets_flask."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrity.cli.main import main
from integrity.engines.target import Target

EXAMPLE = Path(__file__).parents[2] / "examples" / "wallets_flask"

Command = Callable[..., tuple[int, str]]


@contextmanager
def answering(url: str) -> Iterator[str]:
    """Run the application on a free port; yield its address."""
    environment = {**os.environ, "DATABASE_URL": url, "PORT": "0"}
    command = [sys.executable, str(EXAMPLE / "wallets.py")]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        try:
            said = next(filter(None, (re.search(r"http://127\.0\.0\.1:\d+", line) for line in process.stderr)))
            yield said[0]
        finally:
            process.kill()


@pytest.fixture
def command(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """The example's project, its application running on a database of its own."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    with psycopg.connect(database.text) as connection:
        connection.execute((EXAMPLE / "schema.sql").read_bytes())

    def call(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words])
        assert isinstance(ended.value.code, int)
        captured = capsys.readouterr()
        return ended.value.code, captured.out or captured.err

    with answering(database.text) as url:
        settings = (tmp_path / "integrity.toml").read_text().replace("http://127.0.0.1:8000", url)
        (tmp_path / "integrity.toml").write_text(settings)
        yield call


def safe(database: Target) -> tuple[str, str]:
    return "--yes-this-is-a-test-database", database.url.database or ""


def test_endpoints_of_ones_own_are_loaded_and_the_lost_update_is_found(command: Command, database: Target) -> None:
    words = ("run", "hammer", "--target", "shop", "--duration", "1s", "--seed", "1", "--json", *safe(database))
    code, said = command(*words)
    told: Any = json.loads(said)
    counts = {each["operation"]: each for each in told["operations"]}
    assert code in (0, 3), said  # of a busy machine there are too few calls for its limit
    assert counts["total"]["failed"] == counts["total"]["unavailable"] == 0
    (checks,) = (each for each in told["thresholds"] if each["statistic"] == "checks_share")
    assert (checks["sample_count"], checks["measured"]) == (counts["pay"]["calls"] - counts["pay"]["abandoned"], 1.0)
    assert 0 < counts["balance"]["ok"] <= counts["pay"]["ok"], "who has paid looks"
    code, said = command("validate", "--json")
    assert (code, json.loads(said)["invariants"][0]["verdict"]) == (1, "violated"), said
    with psycopg.connect(database.text) as connection:
        query = "select operation, count(*) from integrity.calls where outcome = 'ok' group by 1"
        kept: dict[str, int] = dict(connection.execute(query).fetchall())
    assert kept == {name: counts[name]["ok"] for name in ("pay", "balance")}


@pytest.mark.exhaustive
def test_a_locked_twin_over_two_processes_and_an_open_loop_holds(command: Command, database: Target) -> None:
    Path("integrity.toml").write_text(Path("integrity.toml").read_text().replace("/pay ", "/pay-locked "))
    code, said = command("run", "smoke", "--target", "shop", "--duration", "1s", "--processes", "2", *safe(database))
    assert code in (0, 3), said
    code, said = command("validate", "--json")
    assert (code, json.loads(said)["invariants"][0]["verdict"]) == (0, "holds"), said


@pytest.mark.exhaustive
def test_the_request_that_is_loaded_is_the_one_that_is_raced(command: Command) -> None:
    code, said = command("race", "--scenario", "pay", "--json")
    found = json.loads(said)["findings"][0]
    assert (code, found["schedule"], found["anomaly"]) == (1, "AB", "P4")


def test_an_application_that_is_not_there_and_one_that_answers_otherwise_end_a_run_before_it_begins(
    command: Command, database: Target
) -> None:
    toml = Path("integrity.toml").read_text()
    begin, end = ("run", "hammer", "--target"), ("--duration", "1s", *safe(database))
    code, said = command(*begin, "http://127.0.0.1:9", *end)
    assert (code, "connection refused" in said) == (2, True), said
    look = '\n[targets.shop.requests.look]\nrequest = "GET /nowhere"\n'
    Path("integrity.toml").write_text(toml + look)
    code, said = command(*begin, "shop", *end)
    assert (code, "a trial of look (GET /nowhere) ended as failed" in " ".join(said.split())) == (2, True), said
    Path("integrity.toml").write_text(toml.replace('"POST /login"', '"POST /log-in"'))
    code, said = command(*begin, "shop", *end)
    assert (code, "POST /log-in was answered with 404" in said) == (2, True), said
    code, said = command(*begin, "shpo", *end)
    assert (code, "Perhaps you meant shop" in said) == (2, True), said
    assert not list(Path(".integrity").glob("runs/*")), "none of them has begun"
