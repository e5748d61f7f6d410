"""Packages of others, fetched by name and version into folders of their own; a test without the registry is left out."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

SECONDS_MAX = 120.0
"""That an installation is given: a registry that answers nothing by then is not reached."""
_NPM = [
    *("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"),
    *("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000", "--fetch-timeout=30000"),
]
_PIP = [
    *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"),
    *("--retries", "1", "--timeout", "15"),
]
NOT_REACHED = "the registry is not reached"
_SAID_OF_IT = (
    *("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH"),
    *("NewConnectionError", "NameResolutionError", "ConnectTimeoutError"),
)


def install_npm(folder: Path, packages: Sequence[str] = ()) -> Path:
    """Install packages for Node into a folder, beside those that its package.json names; return where they are."""
    if not shutil.which("npm"):
        pytest.skip("there is no npm")
    if not (folder / "package.json").exists():
        (folder / "package.json").write_text('{"private": true}')
    _run([*_NPM, *packages], folder)
    return folder / "node_modules"


def install_pip(folder: Path, packages: Sequence[str]) -> Path:
    """Install packages for Python into a folder, without what they depend on, and return it."""
    _run([*_PIP, "--target", str(folder), *packages], folder)
    return folder


def _run(command: list[str], folder: Path, *, seconds_max: float = SECONDS_MAX) -> None:
    """Run an installation; whatever it has started is over when this is."""
    begun = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with begun:
        try:
            _, said = begun.communicate(timeout=seconds_max)
        except subprocess.TimeoutExpired:
            os.killpg(begun.pid, signal.SIGKILL)
            pytest.skip(f"{NOT_REACHED}: {command[0]} took more than {seconds_max:g} s")
    if begun.returncode and any(word in said for word in _SAID_OF_IT):
        pytest.skip(NOT_REACHED)
    assert begun.returncode == 0, said
