"""The audit on a hot standby, where nothing can be created and replay may take the snapshot away."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from integrity.audit import AuditSettings, audit
from integrity.cli.main import main
from integrity.database.namespace import create_schemas
from integrity.engines.target import Target
from integrity.events import AuditStarted, InvariantJudged
from integrity.history import Call, Outcome, encode_invoked, encode_returned
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.runs.folder import Recorder, RunFolder, make_run_folder
from integrity.runs.unfinished import note_running
from integrity.sql.file import SqlFile, parse_sql_file
from integrity.verdict import Verdict
from tests.database.servers import catch_up
from tests.database.servers import primary_and_standby as standing_by
from tests.documents import make_settings

ASKED, STORED = (f"ghostpass/{name}" for name in ("row-was-asked-for", "acknowledged-call-is-stored"))


@pytest.fixture(scope="module")
def primary_and_standby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Target]]:
    with standing_by(tmp_path_factory.mktemp, {}) as pair:
        yield pair


def invariants() -> list[SqlFile]:
    queries = {
        "negative": "select id from wallets where balance < 0",
        "sums": "select wallets.id from wallets left join entries on entries.wallet_id = wallets.id "
        "group by wallets.id having wallets.balance <> coalesce(sum(entries.amount), 0)",
        "unequal": "select a.id from wallets as a join wallets as b on b.id = a.id where a.balance <> b.balance",
    }
    return [parse_sql_file(f"-- title: t\n{query}", path=Path(f"{name}.sql"), name=name) for name, query in queries.items()]


def test_a_standby_is_audited_and_a_snapshot_that_replay_takes_away_is_taken_again(
    primary_and_standby: tuple[Target, Target],
) -> None:
    primary, standby = primary_and_standby
    with primary.connect() as connection:
        connection.execute("create table wallets (id bigint primary key, balance bigint not null)")
        connection.execute("create table entries (wallet_id bigint not null, amount bigint not null)")
        connection.execute("insert into wallets select n, 5 from generate_series(1, 1000) as n")
        connection.execute("insert into entries select n, 5 from generate_series(1, 1000) as n")
        catch_up(connection, standby)
        found = []
        for event in audit(standby, invariants(), AuditSettings()):
            if isinstance(event, AuditStarted):
                assert "(standby)" in event.consistency
                connection.execute("update wallets set balance = 6; update entries set amount = 6")
                connection.execute("vacuum wallets")  # the snapshot still needs the rows that this removes
                catch_up(connection, standby)
            if isinstance(event, InvariantJudged):
                found.append((event.finding.verdict, event.finding.method))
    assert {verdict for verdict, _ in found} == {Verdict.HOLDS}
    assert {method.endswith(", on a second snapshot") for _, method in found} == {True}, found


@dataclass
class Killed:
    """A run on the primary that was killed, and where its folder is."""

    primary: Target
    standby: Target
    project: Project
    folder: RunFolder

    def execute(self, statement: str) -> None:
        with closing(self.primary.connect()) as connection:
            connection.execute(statement.encode())
            catch_up(connection, self.standby)

    def judge(self, target: Target) -> dict[str, Any]:
        """Run `validate` on it, and return its report."""
        words = ("--json", "--select", ASKED, "--select", STORED, "--project", str(self.project.folder))
        with redirect_stdout(StringIO()) as printed, suppress(SystemExit):
            main(["validate", *words, "--database", target.text])
        return {found["name"]: found for found in json.loads(printed.getvalue())["invariants"]}


@pytest.fixture
def killed(primary_and_standby: tuple[Target, Target], tmp_path: Path) -> Iterator[Killed]:
    """A run that noted itself, made a call and a funding, and was killed; the standby has replayed that."""
    primary, standby = primary_and_standby
    name = "killed"
    with closing(primary.connect()) as admin:
        admin.execute(f"create database {name}".encode())
        there = Target(primary.url.set(database=name))
        create_schemas(there, [GHOSTPASS])
        project = Project(tmp_path, Settings())
        folder = make_run_folder(project.runs_folder, "r1")
        began_us = time.time_ns() // 1000
        settings = make_settings(started_at_us=began_us)
        recorder = Recorder(folder, settings)
        note_running(there, folder.run_id, settings)
        times, reply = (began_us, began_us, began_us + 1000), {"funding_id": 1}
        call = Call(UUID(int=1), "request_funding", {"wallet_id": 1, "amount_minor": 500}, 1, *times, Outcome.OK, reply)
        recorder.append(encode_invoked(call))
        recorder.append(encode_returned(call))
        recorder.close()
        killed = Killed(there, Target(standby.url.set(database=name)), project, folder)
        killed.execute(FUNDED)
        yield killed
        admin.execute(f"drop database {name} with (force)".encode())


FUNDED = """
insert into ghostpass.wallets (id, code, balance_minor) overriding system value values (1, 'GP-1', 0);
insert into ghostpass.fundings (id, wallet_id, amount_minor, status, operation_id, requested_at, settled_at)
    overriding system value values (1, 1, 500, 'failed', '00000000-0000-0000-0000-000000000001', now(), now())
"""


def test_a_standby_loads_no_history_and_says_where_it_is_loaded(killed: Killed) -> None:
    found = killed.judge(killed.standby)

    assert {name: judged["verdict"] for name, judged in found.items()} == {ASKED: "unknown", STORED: "unknown"}
    reason = f"its history is in {killed.folder.path}, and this is a standby: validate on the primary loads it"
    assert {reason in judged["reason"] for judged in found.values()} == {True}, found

    assert {judged["verdict"] for judged in killed.judge(killed.primary).values()} == {"holds"}
    killed.execute("select")
    assert {judged["verdict"] for judged in killed.judge(killed.standby).values()} == {"holds"}


def test_a_standby_trusts_what_a_run_said_of_how_long_it_lives_and_no_longer(killed: Killed) -> None:
    """Its sessions are on the primary, which sees that there is none."""
    shutil.rmtree(killed.folder.path)

    assert killed.judge(killed.standby)[STORED]["verdict"] == "holds"
    assert "it has no session any more" in killed.judge(killed.primary)[STORED]["reason"]
    killed.execute("update integrity.runs set alive_until = now() - interval '1 second'")
    late = killed.judge(killed.standby)[STORED]
    assert (late["verdict"], "it gives no sign of life" in late["reason"]) == ("unknown", True), late
