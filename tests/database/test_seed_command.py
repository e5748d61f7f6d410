"""`integrity seed` and `integrity rollback`: what they print, refuse, and leave behind when they are stopped."""

import io
import itertools
import json
import re
import shlex
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

from integrity.cli.main import invoke, main
from integrity.cli.seed_command import command
from integrity.database.namespace import guard, inspect_database
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.errors import UsageError
from integrity.jobs import seed as job
from integrity.project import reference_folder
from integrity.reference.ghostpass.schema import METADATA
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.registry import SYSTEMS
from integrity.seeds.load import Mode, fill, seed_system, seeder_of


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    printed = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, printed.out, printed.err


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/venue.db"


def test_a_database_is_a_test_database_when_the_settings_name_it_and_the_command_names_no_other(
    capsys: pytest.CaptureFixture[str], url: str, tmp_path: Path
) -> None:
    target = Target.parse(url)
    with transaction(target) as connection:
        connection.exec_driver_sql(
            f"create table {'main' if target.dialect == 'sqlite' else 'public'}.customers (id integer)"
        )
    name, settings = inspect_database(target).name, tmp_path / "integrity.toml"
    command = ("seed", "--system", "ghostpass", "--wallets", "20", "--database", url, "--project", str(tmp_path))

    settings.write_text('[database]\ntest = "another"\n')
    code, _, err = run(capsys, *command)
    assert (code, f"'{name}', not 'another', holds" in err) == (2, True), err
    assert f'[database] test = "{name}" in integrity.toml' in err

    settings.write_text(f'[database]\ntest = "{name}"\n')
    assert run(capsys, *command, "--yes-this-is-a-test-database", "another")[0] == 2
    assert run(capsys, *command)[0] == 0


def test_the_command_prints_rows_a_table_and_then_refuses(capsys: pytest.CaptureFixture[str], url: str) -> None:
    code, out, err = run(capsys, "seed", "--system", "ghostpass", "--wallets", "20", "--database", url)
    assert code == 0
    assert re.search(r"ghostpass\.wallets +20\n", out)
    assert "20 wallets, seed 1" in out
    assert err.splitlines() == [
        "ghostpass: making 20 wallets",
        "ghostpass: making constraints and indexes",
        f"Next: integrity run smoke --system ghostpass --database {url}",
    ]

    code, out, err = run(capsys, "seed", "--system", "ghostpass", "--wallets", "20", "--database", url)
    assert (code, out) == (2, "")
    assert "--replace" in err
    assert "--append" in err

    command = ["seed", "--system", "ghostpass", "--wallets", "10", "--replace", "--database", url]
    code, out, _ = run(capsys, *command)
    assert code == 0
    assert re.match(r"Removed before: [\d,]+ rows: .*\b20 of ghostpass\.wallets\b", " ".join(out.split()))
    (made,) = json.loads(run(capsys, *command, "--json")[1])["systems"]
    assert made["removed"] == {f"ghostpass.{table}": count for table, count in made["rows"].items()}, "the same world"


def test_the_command_tells_machines_the_same(capsys: pytest.CaptureFixture[str], url: str) -> None:
    code, out, _ = run(
        capsys, "seed", "--system", "ghostpass", "--wallets", "20", "--seed", "3", "--database", url, "--json"
    )
    told = json.loads(out)
    assert code == 0
    assert (told["mode"], told["systems"][0]["seed"], told["systems"][0]["rows"]["wallets"]) == ("new", 3, 20)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--wallets", "-1"], "--wallets -1: expected 1 to 10,000,000"),
        (["--wallets", "10000001"], "--wallets 10000001: expected 1 to 10,000,000"),
        (["--wallets", "many"], "'many' is not an integer"),
        (["--system", "casino"], "unknown system 'casino'"),
        (["--replace", "--append"], "exclude each other"),
        (["--append"], "holds no ghostpass"),
        (["--database", "sqlite:////nowhere/venue.db"], "no folder /nowhere"),
        (["--database", "mysql://root:secret@host/name"], "no support for databases of kind 'mysql'"),
    ],
)
def test_bad_input_is_one_clear_paragraph(
    capsys: pytest.CaptureFixture[str], url: str, arguments: list[str], complaint: str
) -> None:
    code, out, err = run(capsys, "seed", "--database", url, *arguments)
    assert (code, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err
    assert "secret" not in err


def test_rollback_asks_and_then_removes_what_it_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path
) -> None:
    run(capsys, "seed", "--system", "ghostpass", "--wallets", "20", "--database", url)

    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out, err = run(capsys, "rollback", "--database", url, "--project", str(tmp_path))
    assert (code, out) == (0, "")
    assert "ghostpass (20 wallets): audit_log, entries" in err
    assert "Nothing was removed" in err
    assert (tmp_path / "venue.ghostpass.db").exists()

    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, _, err = run(capsys, "rollback", "--database", url, "--project", str(tmp_path))
    assert code == 2
    assert "integrity rollback --yes" in err

    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    code, out, _ = run(capsys, "rollback", "--database", url, "--project", str(tmp_path))
    assert code == 0
    assert out.startswith("Removed 16 tables in ghostpass and integrity.")
    assert not list(tmp_path.iterdir())

    code, out, _ = run(capsys, "rollback", "--database", url, "--project", str(tmp_path))
    assert code == 0
    assert "nothing here was made by seed or run" in out


def test_rollback_tells_machines_what_it_dropped_and_kept(capsys: pytest.CaptureFixture[str], url: str) -> None:
    run(capsys, "seed", "--system", "ghostpass", "--wallets", "20", "--database", url)
    code, out, _ = run(capsys, "rollback", "--yes", "--json", "--database", url)
    told = json.loads(out)
    assert code == 0
    assert sorted(told["dropped"]["ghostpass"]) == sorted(table.name for table in METADATA.sorted_tables)
    assert told["kept"] == []


def test_ctrl_c_ends_with_130_and_changes_nothing(database: Target) -> None:
    command = [
        sys.executable,
        "-m",
        "integrity",
        "seed",
        "--system",
        "ghostpass",
        "--wallets",
        "500000",
        "--database",
        database.text,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ghostpass: making 500,000 wallets\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "interrupted; ghostpass is as it was before" in err
    assert "Traceback" not in err
    assert inspect_database(database).is_empty


def test_a_projects_own_settings_of_a_past_take_the_place_of_those_that_ship(
    capsys: pytest.CaptureFixture[str], url: str, tmp_path: Path
) -> None:
    """The plan's venue has its own doors; only the file in the package could say so."""
    shipped = (reference_folder("seeds") / "ghostpass.toml").read_text()
    (tmp_path / "seeds").mkdir()
    doors = shipped.replace("North door", "Gate A") + '\n[[gateways]]\nname = "Gate C"\nreentry_fee_minor = 100\n'
    (tmp_path / "seeds/ghostpass.toml").write_text(doors)
    words = ("seed", "--system", "ghostpass", "--wallets", "20", "--database", url, "--project", str(tmp_path))
    assert run(capsys, *words)[0] == 0
    with closing(Target.parse(url).connect_sqlite(("ghostpass",))) as connection:
        names = [name for (name,) in connection.execute("select name from ghostpass.gateways order by id")]
    assert names == ["Gate A", "South door", "Gate C"]
    (tmp_path / "seeds/ghostpass.toml").write_text("doors = 3\n")
    code, _, err = run(capsys, *words, "--replace")
    assert (code, "seeds/ghostpass.toml: " in err.replace("\n  ", " ")) == (2, True)


SMALL = {"wallets": 30, "conversations": 10, "messages": 60, "users": 12, "businesses": 2, "streamers": 3}


def rows_of(url: str) -> dict[str, list[str]]:
    """Return table -> its rows as text, of all systems."""
    target = Target.parse(url)
    with closing(target.connect_sqlite(tuple(SYSTEMS))) as connection:
        return {
            f"{name}.{table.name}": sorted(
                str(tuple(row)) for row in connection.execute(f"select * from {name}.{table.name}")
            )
            for name, system in SYSTEMS.items()
            for table in system.metadata.sorted_tables
        }


@pytest.mark.parametrize("mode", ["new", pytest.param("replace", marks=pytest.mark.exhaustive), "append"])
def test_a_seed_of_all_systems_that_was_interrupted_goes_on_as_its_message_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str
) -> None:
    sizes = [word for name, count in SMALL.items() for word in (f"--{name}", str(count))]
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("whole", "interrupted")]
    words = ["seed", *sizes, "--seed", "7"]
    for url in urls:
        if mode != "new":
            run(capsys, *words[:-1], "3", "--database", url)
    command = [*words, *([] if mode == "new" else [f"--{mode}"])]
    assert run(capsys, *command, "--database", urls[0])[0] == 0

    real, calls = fill, itertools.count()

    def interrupt_the_third(*arguments: Any, **options: Any) -> object:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(job, "fill", interrupt_the_third)
        code, _, err = run(capsys, *command, "--database", urls[1])
    assert code == 130
    again = command
    if mode == "append":
        again = err.strip().splitlines()[-1].partition("on the same database: integrity ")[2].split()
    else:
        assert "Give the same command again" in err
    code, _, err = run(capsys, *again, "--database", urls[1])

    assert code == 0, err
    assert rows_of(urls[1]) == rows_of(urls[0])


def test_kill_in_the_middle_changes_nothing(database: Target) -> None:
    command = [
        sys.executable,
        "-m",
        "integrity",
        "seed",
        "--system",
        "ghostpass",
        "--wallets",
        "500000",
        "--database",
        database.text,
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.kill()
    assert inspect_database(database).is_empty
    seeded = seed_system(database, guard(database, None), GHOSTPASS, sizes={"wallets": 20}, seed=1, mode=Mode.NEW)
    assert seeded.row_counts["wallets"] == 20


@pytest.mark.slow
def test_all_systems_are_filled_each_by_its_own_sizes(capsys: pytest.CaptureFixture[str], database: Target) -> None:
    sizes = {"wallets": 60, "conversations": 40, "messages": 400, "users": 30, "businesses": 3, "streamers": 5}
    options = [word for name, count in sizes.items() for word in (f"--{name}", str(count))]
    code, out, _ = run(capsys, "seed", *options, "--database", database.text, "--json")
    told = {system["system"]: system for system in json.loads(out)["systems"]}
    assert (code, list(told)) == (0, list(SYSTEMS))
    for name, system in told.items():
        assert system["sizes"] == {size.name: sizes[size.name] for size in seeder_of(SYSTEMS[name]).sizes}
        assert system["rows"][seeder_of(SYSTEMS[name]).sizes[0].name] == sizes[seeder_of(SYSTEMS[name]).sizes[0].name]


def test_every_size_of_every_seeder_has_its_option() -> None:
    helps = {each.name: each.help or "" for each in command.params if isinstance(each, click.Option)}
    for seeder in map(seeder_of, SYSTEMS.values()):
        for size in seeder.sizes:
            assert seeder.name in helps[size.name]
            assert f"{size.default:,}" in helps[size.name]


def test_what_a_question_that_nobody_answers_says_to_type_is_about_the_same_database_and_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them it would remove what the folder's own database holds."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "integrity.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", None)
    named = ["--database", "sqlite:///x.db", "--project", "shop"]
    invoke(["seed", "--system", "ghostpass", "--wallets", "3", *named])
    assert Path("x.db").exists()

    with pytest.raises(UsageError) as refused:
        invoke(["rollback", *named])

    told = str(refused.value.hint).removeprefix("Without a terminal: integrity ")
    assert told == f"rollback --yes --database sqlite:///x.db --project {tmp_path / 'shop'}"
    assert invoke(shlex.split(told)) == 0
    assert not Path("x.db").exists()
