"""Packages of others, fetched by name and version into folders of their own; a test without the registry is left out."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

_NPM = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
_PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
_NOT_REACHED = (
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


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if any(word in done.stderr for word in _NOT_REACHED):
        pytest.skip("the registry is not reached")
    assert done.returncode == 0, done.stderr
