"""Commands of races in this process, beside a database of a server that is to be left as it was."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target

Command = Callable[..., tuple[int, str, str]]


def runs_commands(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what runs a command in this process; it gives the exit code and what was said on both ways."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    return run


def run_beside(
    database: Target, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Yield what runs a command in an empty project beside a database; no scratch database may be left behind."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    yield runs_commands(capsys)
    assert scratch_databases(database) == []


STOCK = b"""
create table stock (id int primary key, left_over int not null);
create table orders (id bigserial primary key, item_id int not null references stock);
insert into stock values (1, 1);
"""


def race_requests_beside(
    database: Target, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Return what runs a command, `race` unless another is named, in a project of the database of a small shop."""
    with closing(database.connect()) as connection:
        connection.execute(STOCK)
        connection.commit()
    (folder / "integrity.toml").write_text("")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    run = runs_commands(capsys)
    return lambda *words, command="race": run(command, *words)


def scratch_databases(target: Target) -> list[str]:
    """Return the databases of races on a server."""
    with target.connect() as connection:
        found = connection.execute("select datname from pg_database where starts_with(datname, 'integrity_tmp_race_')")
        return [name for (name,) in found.fetchall()]
