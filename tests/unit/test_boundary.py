"""However a command fails, it ends with one paragraph and a code that says whose fault it is; 1 is for data alone."""

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest

from integrity.cli import boundary
from integrity.cli.boundary import CLOSED_PIPE, KEPT_MOST, shorten
from integrity.cli.main import main
from integrity.errors import HistoryError
from integrity.report.terminal import ClosedOutput

End = tuple[int, str, str]


@pytest.fixture
def fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[BaseException | Callable[[], Any]], End]:
    """Run `integrity list` in an empty project, and let it raise, or do, that in its middle; give code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(what: BaseException | Callable[[], Any], *arguments: str) -> End:
        def raise_it(*_: Any, **__: Any) -> Any:
            if isinstance(what, BaseException):
                raise what
            what()
            return {}

        monkeypatch.setattr("integrity.invariants.load.load_invariants", raise_it)
        with pytest.raises(SystemExit) as ended:
            main(["list", *arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


def _kept(folder: Path) -> Path:
    [file] = (folder / ".integrity/errors").iterdir()
    return file


OURS: list[tuple[BaseException, str, str]] = [
    (ZeroDivisionError("float division by zero"), "ZeroDivisionError: float division by zero", "report it with that file"),
    (RecursionError("maximum recursion depth exceeded"), "nested too deeply", "brackets"),
    (MemoryError(), "not enough memory", "--limit-evidence"),
    (OSError(28, "No space left on device", "/var/x"), "/var/x: No space left on device", "Give the command again"),
    (BrokenPipeError(32, "Broken pipe"), "Broken pipe", "Give the command again"),
    (
        psycopg.errors.AdminShutdown("terminating connection\nby command"),
        "terminating connection by command",
        "the server runs",
    ),
    (sqlite3.OperationalError("database is locked"), "database is locked", "Another session"),
    (ExceptionGroup("tasks", [ExceptionGroup("inner", [KeyError("x")])]), "KeyError: 'x'", "report"),
    (ExceptionGroup("tasks", [KeyError("x"), ValueError("y")]), "tasks (2 sub-exceptions)", "report"),
    (asyncio.CancelledError(), "CancelledError", "report"),
]


@pytest.mark.parametrize(("error", "said", "helps"), OURS, ids=[type(each[0]).__name__ for each in OURS])
def test_an_error_of_ours_is_a_paragraph_and_a_file(
    fail: Callable[[Any], End], tmp_path: Path, error: BaseException, said: str, helps: str
) -> None:
    code, out, err = fail(error)
    assert (code, out) == (3, "")
    assert said in err
    assert helps in err.splitlines()[-1]
    assert "Traceback" not in err
    assert len(err.splitlines()) == 3
    file = _kept(tmp_path)
    assert str(file) in err
    assert file.name.partition("-list-")[1], "time and command are in the name"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    text = file.read_text()
    assert "Traceback (most recent call last)" in text
    assert "$ integrity list" in text


def test_an_error_of_the_users_leaves_no_file(fail: Callable[[Any], End], tmp_path: Path) -> None:
    assert fail(HistoryError("calls.jsonl:3: torn")) == (2, "", "integrity: calls.jsonl:3: torn\n")
    assert not (tmp_path / ".integrity").exists()


def test_an_error_of_the_users_in_a_group_of_tasks_is_his(fail: Callable[[Any], End]) -> None:
    code, _, err = fail(ExceptionGroup("tasks", [ValueError("late"), HistoryError("calls.jsonl:3: torn")]))
    assert (code, err) == (2, "integrity: calls.jsonl:3: torn\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BaseExceptionGroup("tasks", [KeyError("x"), KeyboardInterrupt()])])
def test_an_interrupt_is_no_error(fail: Callable[[Any], End], error: BaseException, tmp_path: Path) -> None:
    assert fail(error) == (130, "", "integrity: interrupted\n")
    assert not (tmp_path / ".integrity").exists()


def test_a_closed_pipe_ends_a_command_as_it_ends_other_tools(fail: Callable[[Any], End]) -> None:
    assert fail(ClosedOutput()) == (CLOSED_PIPE, "", "")


def test_the_file_is_in_the_project_that_was_named(fail: Callable[..., End], tmp_path: Path) -> None:
    (tmp_path / "shop" / "inner").mkdir(parents=True)
    (tmp_path / "shop" / "integrity.toml").write_text("")
    fail(KeyError("x"), "--project", "shop/inner")
    assert _kept(tmp_path / "shop").is_file()


def test_a_project_that_cannot_be_written_is_told_and_the_temporary_folder_used(
    fail: Callable[[Any], End], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".integrity").write_text("a file, where a folder should be")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, _, err = fail(KeyError("x"))
    [file] = tmp_path.glob("integrity-*-list-*.txt")
    assert code == 3
    assert f"cannot be written (Not a directory); the traceback is in {file}" in err
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_any_folder_the_paragraph_is_all_there_is(
    fail: Callable[[Any], End], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".integrity").write_text("a file, where a folder should be")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    code, _, err = fail(KeyError("x"))
    assert code == 3
    assert "KeyError: 'x'" in err
    assert "could not be kept" in err


def test_a_file_of_that_name_that_somebody_laid_out_is_not_followed(
    fail: Callable[[Any], End], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".integrity").mkdir()
    (tmp_path / ".integrity/errors").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    assert fail(KeyError("x"))[0] == 3
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1


def test_no_password_is_in_the_file(fail: Callable[..., End], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", "postgresql://app:s%20cret9@host/shop")
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    error = ValueError("no answer of postgresql://app:s%20cret9@host/shop: 's cret9' is wrong, and so is hunter2")
    _, _, err = fail(error)
    text = _kept(tmp_path).read_text()
    for secret in ("s%20cret9", "s cret9", "hunter2"):
        assert secret not in text
    assert "s%20cret9" not in err


def _in_a_thread() -> None:
    def work() -> NoReturn:
        raise KeyError("lost")

    thread = threading.Thread(target=work, name="sampler")
    thread.start()
    thread.join()


def test_an_error_in_a_thread_is_told_and_makes_a_good_end_unknown(fail: Callable[[Any], End], tmp_path: Path) -> None:
    code, _, err = fail(_in_a_thread)
    assert code == 3
    assert "in thread sampler, could not go on: an error of integrity's own: KeyError: 'lost'" in err
    assert "Traceback" not in err
    assert "in work" in _kept(tmp_path).read_text()


def test_what_a_library_logs_is_a_line_and_its_traceback_a_file(fail: Callable[[Any], End], tmp_path: Path) -> None:
    def log() -> None:
        logging.getLogger("asyncio").warning("slow\ncallback")
        logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=KeyError("x"))

    code, _, err = fail(log)
    assert code == 3
    assert "integrity: asyncio: slow callback\n" in err
    assert "in the background, could not go on: an error of integrity's own: KeyError: 'x'" in err
    assert "Traceback" not in err
    assert _kept(tmp_path).is_file()


def test_hooks_are_as_before_afterwards(fail: Callable[[Any], End]) -> None:
    before = threading.excepthook, list(logging.getLogger().handlers)
    fail(KeyError("x"))
    assert (threading.excepthook, list(logging.getLogger().handlers)) == before


def test_a_current_folder_that_is_gone_is_said(fail: Callable[..., End], tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, _, err = fail(KeyError("x"))
    assert code == 2
    assert "the current folder no longer exists" in err
    assert fail(print, "--project", str(tmp_path))[0] == 0


def test_a_message_is_as_long_as_it_helps() -> None:
    assert shorten("a\n\n\n  hint: b") == "a\n  hint: b"
    assert len(shorten("x" * 100_000)) < 400
    assert len(shorten("x y " * 100_000)) < 4000
    assert shorten(f"{'/folder' * 40}/file: gone") == f"{'/folder' * 40}/file: gone"


@pytest.mark.parametrize("moment_s", [boundary._MOMENT_S, 0.0], ids=["calm", "busy"])
def test_ctrl_c_within_a_destructor_ends_the_command_all_the_same(
    fail: Callable[[BaseException | Callable[[], Any]], End], monkeypatch: pytest.MonkeyPatch, moment_s: float
) -> None:
    """Also on a machine that is so busy that the moment is over before the hook is."""
    monkeypatch.setattr(boundary, "_MOMENT_S", moment_s)

    class Interrupted:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    def work() -> None:
        Interrupted()
        assert not threading.Event().wait(20)

    assert fail(work) == (130, "", "integrity: interrupted\n")


def test_of_the_tracebacks_that_were_kept_the_newest_fifty_stay(fail: Callable[[Any], End], tmp_path: Path) -> None:
    folder = tmp_path / ".integrity/errors"
    folder.mkdir(parents=True)
    for number in range(60):
        (folder / f"20260101-1200{number:02}-list-1-1.txt").write_text("older")

    fail(ZeroDivisionError("float division by zero"))

    kept = sorted(folder.iterdir())
    assert len(kept) == KEPT_MOST == 50
    assert kept[0].name == "20260101-120011-list-1-1.txt"
    assert "ZeroDivisionError" in kept[-1].read_text()
