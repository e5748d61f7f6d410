"""Databases that cannot be used: each is named without its password, with the reason and what to check."""

from collections.abc import Callable
from pathlib import Path

import pytest

from integrity.engines.target import Target
from tests.snapshots.bad_input import Bad, Ended, assert_one_paragraph, bad

TOML = "integrity.toml"

URLS = [
    bad(("validate", "--database", ""), "--database is empty", "embedded"),
    bad(("validate", "--database", "  "), "--database is empty"),
    bad("validate", "INTEGRITY_DATABASE_URL is empty", "embedded", INTEGRITY_DATABASE_URL=""),
    bad("db url", "INTEGRITY_DATABASE_URL is empty", INTEGRITY_DATABASE_URL=""),
    bad("db status", "INTEGRITY_DATABASE_URL is empty", INTEGRITY_DATABASE_URL=""),
    bad("seed", "INTEGRITY_DATABASE_URL is empty", INTEGRITY_DATABASE_URL=" "),
    bad("validate", "integrity.toml: database.url is empty", files={TOML: "[database]\nurl = ''\n"}),
    bad("seed", "integrity.toml: database.url is empty", files={TOML: "[database]\nurl = ' '\n"}),
    bad(("seed", "--database", ""), "--database is empty", INTEGRITY_DATABASE_URL="sqlite:///venue.db"),
    bad("validate", "database.url", files={TOML: "[database]\nurl = 5\n"}),
    bad("validate", f"{TOML}: database.url: not a database URL: 'shop'", files={TOML: '[database]\nurl = "shop"\n'}),
    bad("db url", f"{TOML}: database.url: no support for", files={TOML: '[database]\nurl = "mysql://h/x"\n'}),
    bad("db stop", "INTEGRITY_DATABASE_URL: not a database URL: 'nonsense'", INTEGRITY_DATABASE_URL="nonsense"),
    bad("validate --database mysql://root:hunter2@localhost/shop", "mysql", "postgresql://"),
    bad("validate --database shop", "'shop'", "postgresql://"),
    bad("validate --database http://example.org", "http", "postgresql://"),
    bad("validate --database postgresql://u:hunter2@host:port/x", "not a database URL", "postgresql://"),
    bad("validate --database postgresql://u:hunter2@127.0.0.1:1/x", "cannot connect", "u:***@127.0.0.1:1/x", "Check host"),
    bad("validate --database postgresql://u:hunter2@127.0.0.1:1/x", "Connection refused. Is the server running on"),
    bad("validate --database postgresql://u:hunter2@host.invalid/shop", "cannot connect", "host.invalid", "Check host"),
    bad("validate --database postgresql://u:hunter2@127.0.0.1:99999/x", "cannot connect"),
    bad("validate --database postgresql://u@/x?host=/nowhere&password=hunter2", "cannot connect", "/nowhere"),
    bad("validate --database postgresql://127.0.0.1:1/x?nonsense=1", "invalid URI query parameter", "nonsense"),
    bad("validate --database postgresql://127.0.0.1:1/x?sslmode=bogus", "cannot connect", "sslmode"),
    bad("validate --database postgresql://127.0.0.1:1/x?connect_timeout=soon", "cannot connect", "connect_timeout"),
    bad(("validate", "--database", "host=127.0.0.1 port=1 dbname=shop user=u password=hunter2"), "not a database URL"),
    bad(("validate", "--database", "host=127.0.0.1 port=1 password='hunter2"), "hint"),
    bad("validate --database postgresql://127.0.0.1:1/x?user=u&PASSWORD=hunter2", "hint"),
    bad("validate --database postgresql://127.0.0.1:1/x?user=u&password=hunter2", "cannot connect", "127.0.0.1:1"),
    bad("validate --database postgresql://u:%00hunter2@127.0.0.1:1/x", "hint"),
    bad("validate --database postgresql://u:hunter2@[::1/x", "hint"),
    bad("validate --database sqlite://", "SQLite", "sqlite:///venue.db"),
    bad("validate --database sqlite:///:memory:", "in memory", "sqlite:///venue.db"),
    bad("validate --database sqlite:///missing.db", "missing.db"),
    bad("validate --database sqlite:////no/such/folder/x.db", "/no/such/folder/x.db"),
    bad("seed --system ghostpass --database sqlite:////no/such/folder/x.db", "cannot connect", "/no/such/folder"),
    bad("validate --database sqlite:///text.db", "text.db", "another kind", files={"text.db": "this is no database" * 9}),
    bad("validate --database sqlite:///folder", "It is a folder. Name a file", files={"folder/file": ""}),
    bad("race ghostpass sell --isolation serializable --database sqlite:///x.db", "single level", "Leave --isolation out"),
    bad("monitor --database sqlite:///x.db", "no server to watch", "--process"),
    *(
        bad(f"{line} --database postgresql://u:hunter2@127.0.0.1:1/x", "cannot connect", "127.0.0.1:1")
        for line in (
            "seed", "snapshot s", "snapshot --list", "restore s --yes", "rollback --yes", "rollback --dry-run",
            "suite quick", "queries run", "race ghostpass sell", "race ghostpass sell sell --schedule AB",
            "monitor --duration 1s",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", URLS, ids=str)
def test_a_database_that_cannot_be_used_is_named_with_the_reason(refuse: Callable[[Bad], None], case: Bad) -> None:
    refuse(case)


def test_a_database_that_the_server_lacks_is_named(run_here: Callable[..., Ended], seeded: Target) -> None:
    missing = Target(seeded.url.set(database="no_such_database"))
    for command in ("validate", "seed", "rollback --dry-run", "run hammer"):
        ended = run_here(*command.split(), "--database", missing.text)
        assert_one_paragraph(ended, code=2, said=("cannot connect", "no_such_database"))


def test_a_role_that_the_server_lacks_is_named(run_here: Callable[..., Ended], seeded: Target) -> None:
    stranger = Target(seeded.url.set(username="no_such_role", password="hunter2"))
    assert_one_paragraph(run_here("validate", "--database", stranger.text), code=2, said=("no_such_role", "cannot connect"))


NEEDS_NONE = [
    "list",
    "faults",
    "explain ghostpass/balance-not-negative",
    "queries list",
    "suite quick --plan --system inbox",
]


@pytest.mark.parametrize("command", [*NEEDS_NONE, "suite quick --plan --system inbox", "--help", "--version"])
def test_a_command_that_needs_no_database_asks_for_none(
    run_here: Callable[..., Ended], command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/x")
    code, out, err = run_here(*command.split())
    assert (code, err) == (0, "")
    assert out
    assert not (tmp_path / ".integrity").exists()
