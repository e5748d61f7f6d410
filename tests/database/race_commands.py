"""Commands of races in this process, beside an empty database of a server that is to be left as it was."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target

Command = Callable[..., tuple[int, str, str]]


def run_beside(
    database: Target, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Yield what runs a command in an empty project beside a database; no scratch database may be left behind."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    yield run
    assert scratch_databases(database) == []


def scratch_databases(target: Target) -> list[str]:
    """Return the databases of races on a server."""
    with target.connect() as connection:
        found = connection.execute("select datname from pg_database where starts_with(datname, 'integrity_tmp_race_')")
        return [name for (name,) in found.fetchall()]
