"""A run's documents are read as they were written; one of before there were numbers, too, and one of another is named."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from integrity.errors import HistoryError
from integrity.monitor.sample_file import read_file
from integrity.runs.documents import write_document
from integrity.runs.files import METRICS_FILE, MONITOR_FILE, RESULT_FILE, SETTINGS_FILE, VERDICTS_FILE
from integrity.runs.folder import RunFolder
from integrity.runs.samples import RunSample
from integrity.runs.verdicts import read_verdicts
from integrity.verdict import Verdict
from tests.documents import RESULT, SETTINGS, make_result, make_settings, verdicts_json

ROW = {"wallet_id": 41, "balance_minor": -5}


def put(folder: Path, name: str, value: object) -> RunFolder:
    (folder / name).write_bytes(orjson.dumps(value))
    return RunFolder(folder)


def test_settings_and_result_are_read_as_they_were_written(tmp_path: Path) -> None:
    settings, result = make_settings(bug="overdraw"), make_result(search={**SEARCH})
    write_document(tmp_path, SETTINGS_FILE, settings)
    write_document(tmp_path, RESULT_FILE, result)

    assert RunFolder(tmp_path).settings() == settings
    assert RunFolder(tmp_path).result() == result


SEARCH = {"held_per_s": 12.5, "first_break": None, "hard_break": None, "ended_because": "the run was stopped"}


def test_what_a_run_has_nothing_to_say_to_has_no_key_and_the_format_comes_first() -> None:
    assert list(make_result().to_json()) == ["format", *RESULT]
    assert make_result(recovery_s=None).to_json()["recovery_s"] is None


def test_documents_of_before_there_were_numbers_are_read(tmp_path: Path) -> None:
    older = {name: value for name, value in SETTINGS.items() if name not in ("process_mark", "commit")}
    put(tmp_path, SETTINGS_FILE, older)
    rows = [{name: value for name, value in row.items() if name != "unavailable"} for row in RESULT["operations"]]
    kept = {name: value for name, value in RESULT.items() if name not in ("owed", "settled_at_us")}
    put(tmp_path, RESULT_FILE, {**kept, "operations": rows})

    assert RunFolder(tmp_path).settings() == make_settings()
    result = RunFolder(tmp_path).result()
    assert result is not None
    assert (result.format, result.owed, result.total.calls, result.total.unavailable) == (1, None, 14, 0)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({**SETTINGS, "format": 2}, "written by another version: it has format '2', and this one reads format 1"),
        ([], "written by another version: it has no format"),
        ({**SETTINGS, "format": 1, "seed": "many"}, "cannot be read: seed: Input should be a valid integer"),
        ({"format": 1}, "cannot be read: system: Field required"),
    ],
)
def test_a_document_that_is_not_understood_is_named_with_what_is_wrong(tmp_path: Path, value: object, said: str) -> None:
    folder = put(tmp_path, SETTINGS_FILE, value)

    with pytest.raises(HistoryError) as refused:
        folder.settings()

    assert refused.value.message.startswith(f"{tmp_path / SETTINGS_FILE}: {said}")
    assert refused.value.hint == "Run the workload again."


def test_what_a_later_version_adds_to_a_format_is_no_mistake(tmp_path: Path) -> None:
    assert put(tmp_path, SETTINGS_FILE, {**SETTINGS, "format": 1, "mood": "good"}).settings() == make_settings()


def test_verdicts_are_read_with_their_rows(tmp_path: Path) -> None:
    verdicts = read_verdicts(put(tmp_path, VERDICTS_FILE, verdicts_json("ghostpass/balance-not-negative", ROW)).path)

    (judged,) = verdicts.violated.values()
    assert (judged.name, judged.verdict, judged.rows) == ("ghostpass/balance-not-negative", Verdict.VIOLATED, [ROW])


def test_verdicts_without_a_number_are_to_be_made_again(tmp_path: Path) -> None:
    folder = put(tmp_path, VERDICTS_FILE, {"invariants": []})

    with pytest.raises(HistoryError, match="it has no format") as refused:
        read_verdicts(folder.path)

    assert refused.value.hint == "Audit the run again: integrity validate"


SAMPLE: dict[str, Any] = {
    "at_us": 1,
    "elapsed_s": 1.0,
    "calls": 5,
    "faults": 0,
    "p95_ms": None,
    "operations": {},
    "rss_mb": 50.0,
}


def test_the_samples_of_a_run_are_read_up_to_a_line_that_was_cut_off(tmp_path: Path) -> None:
    whole = orjson.dumps(SAMPLE) + b"\n"
    (tmp_path / METRICS_FILE).write_bytes(whole + whole + whole[:20])

    assert RunFolder(tmp_path).samples() == [RunSample.model_validate(SAMPLE)] * 2


def test_a_line_that_is_no_sample_is_named_and_a_run_that_was_killed_at_once_has_none(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).samples() == []
    (tmp_path / METRICS_FILE).write_bytes(orjson.dumps(SAMPLE) + b'\n{"at_us": "soon"}\n')

    with pytest.raises(HistoryError, match=f"{METRICS_FILE}:2: cannot be read: at_us: Input should be a valid integer"):
        RunFolder(tmp_path).samples()


def test_a_monitors_file_of_another_format_is_named(tmp_path: Path) -> None:
    (tmp_path / MONITOR_FILE).write_bytes(b'{"kind": "facts", "format": 2}\n')

    with pytest.raises(HistoryError, match="1: written by another version: it has format '2'"):
        read_file(tmp_path / MONITOR_FILE)


WATCHED: dict[str, Any] = {
    "kind": "sample",
    "at_us": 1,
    "elapsed_s": 0.0,
    "processes": [{"name": "integrity", "pid": 7, "is_alive": True, "cpu_s": 0.5}],
    "database": {"took_ms": 2.5, "activity": {"connections": 4}, "io": [{"backend_type": "startup", "reads": 1}]},
}


def test_the_samples_of_a_monitor_are_read_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / MONITOR_FILE).write_bytes(orjson.dumps(WATCHED) + b"\n")

    _, (sample,) = read_file(tmp_path / MONITOR_FILE)

    assert {"kind": "sample", **sample} == WATCHED


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"elapsed_s": "soon"}, "elapsed_s: Input should be a valid number"),
        ({"processes": [{"name": "integrity", "is_alive": True}]}, "processes.0.pid: Field required"),
        ({"database": {"activity": []}}, "database.activity: Input should be"),
        ({"database": "postgresql"}, "database: Input should be a valid dictionary"),
    ],
)
def test_a_sample_of_a_monitor_that_is_none_is_named_by_its_line(tmp_path: Path, broken: dict[str, Any], said: str) -> None:
    (tmp_path / MONITOR_FILE).write_bytes(orjson.dumps(WATCHED) + b"\n" + orjson.dumps({**WATCHED, **broken}) + b"\n")

    with pytest.raises(HistoryError, match=f"{MONITOR_FILE}:2: cannot be read: {said}"):
        read_file(tmp_path / MONITOR_FILE)


def test_a_sample_of_a_monitor_before_it_had_a_time_is_named(tmp_path: Path) -> None:
    old = {key: value for key, value in WATCHED.items() if key != "at_us"}
    (tmp_path / MONITOR_FILE).write_bytes(orjson.dumps(old) + b"\n")

    with pytest.raises(HistoryError, match=f"{MONITOR_FILE}:1: cannot be read: at_us: Field required"):
        read_file(tmp_path / MONITOR_FILE)
