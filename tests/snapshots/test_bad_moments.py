"""Ctrl-C while Python still imports: nobody is shown a traceback, whatever is being imported."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

WAIT_S = 60

# Python imports it before anything else: it presses Ctrl-C when the module that is named begins to be imported.
SITE = """
import os, signal, sys

class Finder:
    def find_spec(name, path=None, target=None):
        if name == os.environ["PRESS_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder)
"""


def _press_ctrl_c_at(module: str, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    (folder / "sitecustomize.py").write_text(SITE)
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PRESS_AT": module,
        "INTEGRITY_DATABASE_URL": "sqlite:///venue.db",
    }
    return subprocess.run(
        [sys.executable, "-m", "integrity", *words],
        env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=WAIT_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("module", ["integrity.cli.main", "click", "integrity.cli.boundary"])
def test_ctrl_c_before_the_command_is_there_ends_it_without_a_word(module: str, tmp_path: Path) -> None:
    ended = _press_ctrl_c_at(module, tmp_path, "list")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


@pytest.mark.parametrize("module", ["integrity.cli.validate_command", "integrity.audit", "integrity.engines.sqlite.engine"])
def test_ctrl_c_while_the_command_imports_is_one_line(module: str, tmp_path: Path) -> None:
    ended = _press_ctrl_c_at(module, tmp_path, "validate")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "integrity: interrupted\n")


def test_a_background_that_ignores_ctrl_c_goes_on(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ended = _press_ctrl_c_at("click", tmp_path, "--version")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("integrity, version")
