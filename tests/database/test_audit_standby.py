"""The audit on a hot standby, where nothing can be created and replay may take the snapshot away."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrity.audit import AuditSettings, audit
from integrity.database.account import possible_accounts
from integrity.database.binaries import choose_binaries, server_environment
from integrity.database.embedded import EmbeddedServer
from integrity.database.target import Target
from integrity.events import AuditStarted, InvariantJudged
from integrity.sqlfile import SqlFile, parse_sql_file
from integrity.verdict import Verdict

SETTINGS = {"fsync": "off", "shared_buffers": "32MB", "wal_level": "replica", "max_wal_senders": "4"}


@pytest.fixture
def primary_and_standby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Target]]:
    """Two servers; what is committed on the first is replayed on the second, at once and against its queries."""
    primary = EmbeddedServer(tmp_path_factory.mktemp("primary"), settings=SETTINGS, dies_with_parent=True)
    home = tmp_path_factory.mktemp("standby")
    standby = EmbeddedServer(home, settings={**SETTINGS, "max_standby_streaming_delay": "0"}, dies_with_parent=True)
    try:
        target = primary.start()
        copy(target, primary, home)
        yield target, standby.start()
    finally:
        standby.reset()
        primary.reset()


def copy(target: Target, primary: EmbeddedServer, home: Path) -> None:
    """Copy the running primary into the data folder of the standby, as the account that the servers run under."""
    home.mkdir(exist_ok=True)
    binaries, account, _ = choose_binaries(os.environ, possible_accounts(home, primary.home / "data"))
    account.own(home)
    program = binaries.folder / "pg_basebackup"
    options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", target.text]
    command = account.command(program, "--pgdata", home / "data", *options)
    subprocess.run(command, check=True, capture_output=True, cwd="/", env=server_environment(), **account.options)


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
    with primary.connect() as connection, standby.connect() as reader:
        connection.execute("create table wallets (id bigint primary key, balance bigint not null)")
        connection.execute("create table entries (wallet_id bigint not null, amount bigint not null)")
        connection.execute("insert into wallets select n, 5 from generate_series(1, 1000) as n")
        connection.execute("insert into entries select n, 5 from generate_series(1, 1000) as n")
        catch_up(connection, reader)
        found = []
        for event in audit(standby, invariants(), AuditSettings()):
            if isinstance(event, AuditStarted):
                assert "(standby)" in event.consistency
                connection.execute("update wallets set balance = 6; update entries set amount = 6")
                connection.execute("vacuum wallets")  # the snapshot still needs the rows that this removes
                catch_up(connection, reader)
            if isinstance(event, InvariantJudged):
                found.append((event.finding.verdict, event.finding.method))
    assert {verdict for verdict, _ in found} == {Verdict.HOLDS}
    assert {method.endswith(", on a second snapshot") for _, method in found} == {True}, found


def catch_up(primary: "psycopg.Connection[Any]", standby: "psycopg.Connection[Any]") -> None:
    """Return when the standby has replayed what the primary has written."""
    primary.execute("create table flushed (); drop table flushed")  # a vacuum's last record may wait in memory
    written = primary.execute("select pg_current_wal_insert_lsn()").fetchone()
    while standby.execute("select pg_last_wal_replay_lsn() >= %s", written).fetchone() != (True,):
        pass
