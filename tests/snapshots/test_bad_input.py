"""What a user can get wrong with a database of his own: one clear paragraph with the next step, and exit code 2."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from integrity.cli.main import main
from integrity.engines.target import Target

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command in an empty project on an empty database; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        code = ended.value.code
        captured = capsys.readouterr()
        assert isinstance(code, int)
        return code, captured.out, captured.err

    return run


MISTAKES = [
    (("run", "hammer"), "seed", "integrity seed"),
    (("validate",), "none of the systems", "integrity seed"),
]


@pytest.mark.parametrize(("arguments", "said", "helps"), MISTAKES, ids=[" ".join(mistake[0]) for mistake in MISTAKES])
def test_a_mistake_is_named_with_its_mend(integrity: Command, arguments: tuple[str, ...], said: str, helps: str) -> None:
    code, out, err = integrity(*arguments)
    assert code == 2
    assert out == ""
    assert said in err
    assert helps in err
    assert "Traceback" not in err
    assert "\n\n" not in err.strip(), "one paragraph"


BROKEN_FILES = [
    ("select 1 as x", "the header has no title", ":1:"),
    ("-- title: t\nselect wallet_id from wallets where (", "syntax error at end of input", ":2:"),
    ("-- title: t\nselect 1 as x;\nselect 2 as x", "more than one statement", ":2:"),
    ("-- title: t\ndelete from ghostpass.wallets", "not one read-only select", ":2:"),
    ("-- title: t\nselect id from ghostpass.wallets where id > :least", "'least' is not declared", ":2:"),
    ("-- title: t\n-- severtiy: error\nselect 1 as x", "severtiy", ":2:"),
]


@pytest.mark.parametrize(("text", "said", "place"), BROKEN_FILES, ids=[said for _, said, _ in BROKEN_FILES])
def test_a_broken_invariant_is_unknown_for_a_reason_at_its_place(
    integrity: Command, text: str, said: str, place: str
) -> None:
    Path("invariants").mkdir()
    Path("invariants/mine.sql").write_text(text)
    code, out, err = integrity("validate")
    assert (code, err) == (3, "")
    assert out.splitlines()[-1] == "1 of 1 invariant unknown: mine."
    assert f"invariants/mine.sql{place}" in out
    assert said in out


def test_a_name_that_ships_cannot_be_used_again(integrity: Command) -> None:
    Path("invariants/ghostpass").mkdir(parents=True)
    Path("invariants/ghostpass/balance-not-negative.sql").write_text("-- title: mine\nselect 1 as x")
    code, out, _ = integrity("list", "--all")
    assert code == 0
    assert "invariants/ghostpass/balance-not-negative.sql" in out
    assert "a second invariant of the name 'ghostpass/balance-not-negative'" in out


def test_a_database_with_tables_of_others_is_left_alone(integrity: Command, database: Target) -> None:
    with database.connect() as connection:
        connection.execute("create table public.orders (id bigint)")
    code, _, err = integrity("seed")
    assert code == 2
    assert "public.orders" in err
    assert "--yes-this-is-a-test-database" in err
    with database.connect() as connection:
        assert connection.execute("select count(*) from pg_namespace where nspname = 'ghostpass'").fetchone() == (0,)
    assert integrity("seed", "--system", "ghostpass", "--wallets", "10", "--yes-this-is-a-test-database", "another")[0] == 2
    name = str(database.url.database)
    assert integrity("seed", "--system", "ghostpass", "--wallets", "10", "--yes-this-is-a-test-database", name)[0] == 0


def test_a_role_without_rights_is_told_so(integrity: Command, database: Target) -> None:
    with database.connect() as connection:
        connection.execute("drop role if exists onlooker")
        connection.execute("create role onlooker login")
    url = Target(database.url.set(username="onlooker")).text
    code, _, err = integrity("seed", "--system", "ghostpass", "--wallets", "10", "--database", url)
    with database.connect() as connection:
        connection.execute("drop owned by onlooker")
        connection.execute("drop role onlooker")
    assert code == 2
    assert "permission denied" in err
    assert "Traceback" not in err


def test_what_is_written_nowhere_stays_an_error(integrity: Command, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("")
    assert integrity("seed", "--system", "ghostpass", "--wallets", "10")[0] == 0
    code, _, err = integrity("validate", "--format", "junit", "--output", "report/a.xml")
    assert code == 2
    assert "report/a.xml" in err


def test_a_run_that_was_never_made_is_named(integrity: Command) -> None:
    assert integrity("seed", "--system", "ghostpass", "--wallets", "10")[0] == 0
    code, out, err = integrity("validate", "--run", "20200101-000000-ghostpass-hammer")
    assert (code, out) == (2, "")
    assert "20200101-000000-ghostpass-hammer" in err


def test_settings_that_cannot_be_read_are_named(integrity: Command) -> None:
    Path("integrity.toml").write_text("[database]\nurll = 'x'\n")
    code, _, err = integrity("validate")
    assert code == 2
    assert "database.urll" in err


def test_a_server_that_refuses_everyone_is_an_error(integrity: Command, database: Target) -> None:
    missing = Target(database.url.set(database="no_such_database"))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(missing.text)
    code, _, err = integrity("validate", "--database", missing.text)
    assert code == 2
    assert "no_such_database" in err
