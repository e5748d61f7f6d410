"""`integrity queries`: answers, limits that are kept and missed, and what was not measured never passes."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.database.namespace import guard
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system

STATEMENT = """\
-- title: a wallet's entries
-- limit-ms: {limit}
-- index: entries_wallet_id_idx
-- parameter: wallet_id bigint
-- sample: wallet_id = select id from ghostpass.wallets order by id limit {samples}
select entries.id from ghostpass.entries where entries.wallet_id = :wallet_id and {condition} order by entries.id
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of `integrity queries ...`."""
    with pytest.raises(SystemExit) as ended:
        main(["queries", *arguments])
    printed = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, printed.out, printed.err


@pytest.fixture(params=["postgresql", "sqlite"])
def seeded(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """A venue of 300 wallets."""
    if request.param == "sqlite":
        target = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    else:
        target = request.getfixturevalue("database")
    seed_system(target, guard(target, None), GHOSTPASS, sizes={"wallets": 300}, seed=1, mode=Mode.NEW)
    return target


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "queries" / "mine").mkdir(parents=True)
    return tmp_path


def write(project: Path, name: str, *, limit: int = 1000, samples: int = 20, condition: str = "true") -> None:
    text = STATEMENT.format(limit=limit, samples=samples, condition=condition)
    (project / "queries" / "mine" / f"{name}.sql").write_text(text)


def examined(capsys: pytest.CaptureFixture[str], target: Target, project: Path, name: str) -> tuple[int, dict[str, object]]:
    """Return the exit code, and the record of one query."""
    code, out, _ = run(capsys, "run", name, "--database", target.text, "--project", str(project), "--json")
    (record,) = json.loads(out)["queries"]
    return code, record


def test_a_query_that_keeps_its_limits_passes_when_it_was_asked_often_enough(
    capsys: pytest.CaptureFixture[str], seeded: Target, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "quick")
    code, record = examined(capsys, seeded, project, "mine/quick")
    assert (code, record["state"], record["asked"], record["reasons"]) == (0, "passed", 100, [])
    assert record["indexes_used"] == ["entries_wallet_id_idx"]
    assert 0 < record["median_ms"] <= record["p95_ms"] < 1000  # type: ignore[operator]
    assert record["rows"] > 1  # type: ignore[operator]
    monkeypatch.setattr("integrity.queries.examine.P95_S_MOST", 0.0)
    code, record = examined(capsys, seeded, project, "mine/quick")
    assert (code, record["state"], record["asked"]) == (3, "unknown", 20)
    assert record["reasons"] == ["asked 20 times in 0 s: a p95 needs 100"]


def test_an_index_that_does_not_serve_fails(capsys: pytest.CaptureFixture[str], seeded: Target, project: Path) -> None:
    write(project, "quick")
    with closing(seeded.connect_sqlite(("ghostpass",)) if seeded.dialect == "sqlite" else seeded.connect()) as connection:
        connection.execute("drop index ghostpass.entries_wallet_id_idx")
        connection.commit()
    code, record = examined(capsys, seeded, project, "mine/quick")
    assert (code, record["state"]) == (4, "failed")
    assert "index entries_wallet_id_idx is not used by 20 of 20 plans" in record["reasons"][0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("select count(*) as many from ghostpass.entries where amount_minor > 0", ("failed", "failed")),
        ("select id from ghostpass.entries where amount_minor <> 0 limit 10", ("passed", "unknown")),
        ("select id from ghostpass.entries where amount_minor < -1000000000 limit 10", ("failed", "unknown")),
        ("select count(*) as many from ghostpass.entries as e where e.amount_minor > 0", ("failed", "failed")),
        ("select count(*) as many from ghostpass.terminals", ("passed", "passed")),
    ],
)
def test_a_query_with_a_limit_must_not_read_a_larger_table_from_end_to_end(
    capsys: pytest.CaptureFixture[str], seeded: Target, project: Path, text: str, states: tuple[str, str]
) -> None:
    """PostgreSQL says how many rows a scan read; SQLite does not, so that where one may stop early it is not known."""
    (project / "queries" / "mine" / "scan.sql").write_text(f"-- title: a scan\n-- limit-ms: 9000\n{text}\n")
    code, record = examined(capsys, seeded, project, "mine/scan")
    expected = states[seeded.dialect == "sqlite"]
    assert (record["state"], code) == (expected, {"passed": 0, "failed": 4, "unknown": 3}[expected]), record
    if expected != "passed":
        assert "rows) from end to end in 1 of 1 plan" in record["reasons"][0]  # type: ignore[index]


def test_a_query_that_is_too_slow_fails(capsys: pytest.CaptureFixture[str], database: Target, project: Path) -> None:
    seed_system(database, guard(database, None), GHOSTPASS, sizes={"wallets": 50}, seed=1, mode=Mode.NEW)
    (project / "integrity.toml").write_text('[audit]\nfunctions = ["pg_catalog.pg_sleep"]\n')
    write(project, "slow", limit=20, samples=1, condition="pg_sleep(0.03) is not null")
    code, record = examined(capsys, database, project, "mine/slow")
    assert (code, record["state"]) == (4, "failed")
    assert "over its limit of 20 ms 6 of 6 times: its p95 allows 5 of 100" in record["reasons"][0]  # type: ignore[index]


def test_a_small_table_says_nothing_of_an_index(
    capsys: pytest.CaptureFixture[str], database: Target, project: Path
) -> None:
    seed_system(database, guard(database, None), GHOSTPASS, sizes={"wallets": 2}, seed=1, mode=Mode.NEW)
    write(project, "quick")
    code, record = examined(capsys, database, project, "mine/quick")
    assert (code, record["state"]) == (3, "unknown")
    assert "too small to say" in record["reasons"][0]  # type: ignore[index]


def test_what_has_no_sample_or_finds_none_is_not_measured(
    capsys: pytest.CaptureFixture[str], database: Target, project: Path
) -> None:
    seed_system(database, guard(database, None), GHOSTPASS, sizes={"wallets": 20}, seed=1, mode=Mode.NEW)
    write(project, "none", samples=0)
    assert examined(capsys, database, project, "mine/none")[1]["reasons"] == ["not asked: its samples found no row"]
    file = project / "queries" / "mine" / "none.sql"
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if "sample" not in line))
    code, record = examined(capsys, database, project, "mine/none")
    assert (code, record["reasons"]) == (3, ["not asked: no value for parameter wallet_id"])


def test_a_query_answers_with_its_rows(capsys: pytest.CaptureFixture[str], seeded: Target) -> None:
    url = ("--database", seeded.text)
    code, out, _ = run(capsys, "ask", "ghostpass/wallet-statement", "--set", "wallet_id=1", "--limit", "1", *url, "--json")
    (row,) = json.loads(out)["rows"]
    assert (code, row["kind"], str(row["balance_minor"]) == str(row["amount_minor"])) == (0, "funding", True)
    code, out, _ = run(capsys, "ask", "ghostpass/wallet-statement", "--set", "wallet_id=0", *url)
    assert (code, out) == (0, "no rows\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("ask", "ghostpass/wallet-statment"), "no query is called 'ghostpass/wallet-statment'"),
        (("ask", "ghostpass/wallet-statement"), "needs a value for parameter 'wallet_id'"),
        (("ask", "ghostpass/wallet-statement"), "hint: Give it: --set wallet_id=VALUE, a bigint."),
        (("ask", "ghostpass/wallet-statement", "--set", "wallet_id=x"), "'x' is no bigint"),
        (("ask", "ghostpass/wallet-statement", "--set", "wallet_id"), "not NAME=VALUE"),
        (("ask", "ghostpass/wallet-statement", "--set", "wallet_id=1", "--set", "walet=1"), "has no parameter 'walet'"),
        (("run", "--system", "ghostpas"), "unknown system 'ghostpas'"),
        (("run", "--system", "ghostpass"), "holds no ghostpass"),
        (("run", "--scale", "0"), "--scale"),
    ],
)
def test_bad_input_is_told_with_its_reason(
    capsys: pytest.CaptureFixture[str], database: Target, arguments: tuple[str, ...], complaint: str
) -> None:
    code, out, err = run(capsys, *arguments, "--database", database.text)
    assert (code, out) == (2, "")
    assert complaint in err


def test_a_scaled_world_is_gone_afterwards(
    capsys: pytest.CaptureFixture[str], database: Target, server: EmbeddedServer
) -> None:
    arguments = ("run", "--system", "ghostpass", "--scale", "0.02", "--database", database.text)
    code, out, err = run(capsys, *arguments)
    assert "ghostpass: making 100 wallets" in err
    assert "ghostpass/wallet-statement" in out
    assert code in (0, 3)
    with closing(server.target.connect()) as connection:
        left = connection.execute("select datname from pg_database where datname like 'integrity_tmp_queries_%'").fetchall()
    assert left == []


def test_a_file_that_cannot_be_used_costs_none_of_the_others(
    capsys: pytest.CaptureFixture[str], seeded: Target, project: Path
) -> None:
    write(project, "quick")
    folder = project / "queries" / "mine"
    (folder / "latin.sql").write_bytes(b"-- title: caf\xe9\nselect 1\n")
    (folder / "nonsense.sql").write_text("nonsense\n")
    (project / "queries" / "ghostpass").mkdir()
    (project / "queries" / "ghostpass" / "wallet-statement.sql").write_text("-- title: t\nselect 1 as one\n")
    code, out, _ = run(capsys, "list", "--project", str(project))
    assert (code, out.count("broken: "), "mine/quick" in out) == (0, 3, True)
    assert "a second query of the name 'ghostpass/wallet-statement'" in out
    assert examined(capsys, seeded, project, "mine/quick")[1]["state"] == "passed"
    code, record = examined(capsys, seeded, project, "mine/nonsense")
    assert (code, "the header has no title" in record["reasons"][0]) == (3, True)  # type: ignore[index]
    code, _, err = run(capsys, "ask", "mine/latin", "--database", seeded.text, "--project", str(project))
    assert (code, "mine/latin.sql: cannot be read: not UTF-8" in err) == (2, True)


def test_a_sample_of_another_shape_costs_its_query_alone(
    capsys: pytest.CaptureFixture[str], seeded: Target, project: Path
) -> None:
    write(project, "quick")
    file = project / "queries" / "mine" / "other.sql"
    text = (project / "queries" / "mine" / "quick.sql").read_text()
    file.write_text(text.replace("select id from", "select id, id as again from"))
    url = ("--database", seeded.text, "--project", str(project), "--json")
    code, out, _ = run(capsys, "run", "mine/other", "mine/quick", *url)
    assert (code, [record["state"] for record in json.loads(out)["queries"]]) == (3, ["unknown", "passed"])


def test_a_project_without_queries_is_told_so_and_not_of_systems_that_it_never_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "shop.db").touch()
    assert run(capsys, "run", "--database", f"sqlite:///{tmp_path}/shop.db", "--project", str(tmp_path)) == (
        2,
        "",
        f"integrity: nothing to ask: the project has no queries of its own, and sqlite:///{tmp_path}/shop.db holds none of "
        "the systems that ours are about\n"
        "  hint: Put a .sql file into queries/, or make a system of ours: integrity seed --database "
        f"sqlite:///{tmp_path}/shop.db --project {tmp_path}\n",
    )


def test_a_query_of_the_project_about_no_system_is_asked_without_being_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "one.sql").write_text("-- title: one\nselect 1 as one\n")
    (tmp_path / "shop.db").touch()
    url = f"sqlite:///{tmp_path}/shop.db"
    code, out, err = run(capsys, "run", "--database", url, "--project", str(tmp_path), "--json")
    assert (code, [each["query"] for each in json.loads(out)["queries"]], err) == (0, ["one"], "")


def test_what_is_asked_of_a_run_is_left_out_where_there_was_none(
    capsys: pytest.CaptureFixture[str], seeded: Target
) -> None:
    """A world that was only seeded came out unknown."""
    url = ("--database", seeded.text)
    code, out, err = run(capsys, "run", "--system", "ghostpass", *url)
    assert "no run of ghostpass is recorded: 2 queries about a run are left out" in err
    assert (code == 3, "webhooks-applied" in out) == (False, False)
    assert run(capsys, "run", "ghostpass/webhooks-applied", *url)[0] == 3
