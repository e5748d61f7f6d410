"""A test that takes packages from a registry is left out where that is not reached, and soon."""

import sys
from pathlib import Path

import pytest

from tests.database import registries

_NOBODY = "http://127.0.0.1:9"  # the port of `discard`, where nobody listens
_WAITING = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import signal; signal.pause()'])"


def test_a_registry_that_is_not_reached_leaves_a_test_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{_NOBODY}/simple")
    with pytest.raises(pytest.skip.Exception, match=registries.NOT_REACHED):
        registries.install_pip(tmp_path, ["six"])


@pytest.mark.exhaustive
def test_a_registry_of_node_that_is_not_reached_leaves_a_test_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", _NOBODY)
    with pytest.raises(pytest.skip.Exception, match=f"{registries.NOT_REACHED}|there is no npm"):
        registries.install_npm(tmp_path, ["left-pad@1.3.0"])


def test_an_installation_that_does_not_end_is_ended(tmp_path: Path) -> None:
    waiting = [sys.executable, "-c", _WAITING]
    with pytest.raises(pytest.skip.Exception, match=r"took more than 0\.3 s"):
        registries._run(waiting, tmp_path, seconds_max=0.3)
    with pytest.raises(AssertionError, match="no such thing"):
        registries._run([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path)
