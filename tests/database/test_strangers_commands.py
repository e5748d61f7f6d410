"""Every command that keeps, loads, breaks or puts back a database takes a stranger's system.

It has no model of its tables, nobody names it on a command line, and none of its tables is ours: the project
says which database is for tests.
"""

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from integrity.cli.main import main
from integrity.database.namespace import inspect_database
from integrity.engines.target import Target
from integrity.engines.transaction import transaction

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = """
[database]
test = "{database}"

[profiles.{system}.rough]
title = "as fast as it goes, whatever goes wrong"
model = "closed"
duration_s = 1
clients = 8
hot_share = 0.9
hot_count = 2
weights = {{ {weights} }}
thresholds = [{{ statistic = "failure_share", most = 1.0, source = "a fault is let loose" }}]

[suites.short]
title = "short"
steps = [{{ profile = "smoke", duration_s = 0.5 }}]
"""
REFLECTED = """
from dataclasses import replace

import tickets
from integrity.systems.reflect import Reflected

TICKETS = replace(tickets.TICKETS, metadata=Reflected("tickets"), seeder=None, pools={})
"""
SHOWS = """
insert into tickets.shows (seat_count, sold_count) select 1000, 2 from generate_series(1, 20);
insert into tickets.orders (show_id, ticket_count, status, operation_id) select id, 2, 'paid', gen_random_uuid()
from tickets.shows;
insert into tickets.payments (order_id, amount_minor, operation_id) select id, 5000, gen_random_uuid()
from tickets.orders;
"""
BANK_OF_SQLITE = """
create table accounts (
    id integer primary key, owner text not null, balance_minor integer not null check (balance_minor >= 0)
);
create table movements (
    id integer primary key, account_id integer not null references accounts, amount_minor integer not null,
    operation_id text not null, made_at text not null default (strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'))
);
insert into accounts (owner, balance_minor) values ('Ada', 1000), ('Bob', 1000);
insert into movements (account_id, amount_minor, operation_id) select id, 1000, 'opened ' || id from accounts;
"""


@dataclass(frozen=True, slots=True)
class Stranger:
    """A system of somebody else's, in a project that lies in the current folder.

    Args:
        fault: what goes wrong in a run of it.
        violated: what a run of it, with these words, violates.
        weights: how often each operation is called.
    """

    target: Target
    name: str
    fault: str
    violated: str
    weights: str
    bug: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()


def bank(target: Target) -> Stranger:
    """The bank in SQL alone: a withdrawal that is not locked."""
    shutil.copytree(EXAMPLES / "bank", ".", dirs_exist_ok=True)
    execute(target, *(Path(name).read_text() for name in ("schema.sql", "data.sql")))
    return Stranger(target, "bank", "connection_reset@20%-60%", "balance-equals-movements", "withdraw = 2, deposit = 1")


def tickets(target: Target) -> Stranger:
    """The ticket shop in Python, its tables those that the database has."""
    shutil.copytree(EXAMPLES / "tickets", ".", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    settings = Path("integrity.toml")
    settings.write_text(settings.read_text().replace('"tickets:TICKETS"', '"reflected:TICKETS"'))
    Path("reflected.py").write_text(REFLECTED)
    sys.path.insert(0, str(Path.cwd()))
    made = __import__("tickets")
    with transaction(target) as connection:
        connection.execute(text("create schema tickets"))
        made.METADATA.create_all(connection)
    execute(target, SHOWS)
    bug = ("--bug", "returned_twice")
    fault = "backend_terminated:every_s=0.2@20%-60%"
    return Stranger(target, "tickets", fault, "shop/money-is-for-tickets", "buy = 1, give_back = 4", bug)


def bank_of_sqlite(target: Target) -> Stranger:
    """The bank in a file, where no other call comes between: a deposit that forgets its movement."""
    shutil.copytree(EXAMPLES / "bank", ".", dirs_exist_ok=True)
    for path in Path("operations").glob("*.sql"):
        path.write_text(path.read_text().replace(" for update", ""))
    deposit = Path("operations/deposit.sql")
    lines = deposit.read_text().splitlines(keepends=True)
    deposit.write_text("".join(line for line in lines if "movements" not in line))
    with sqlite3.connect(target.file) as connection:
        connection.executescript(BANK_OF_SQLITE)
    watched = ("--process", f"tests={os.getpid()}")
    return Stranger(target, "bank", "client_crash@20%-60%", "balance-equals-movements", "deposit = 1", watched=watched)


def execute(target: Target, *scripts: str) -> None:
    with closing(target.connect()) as connection:
        for script in scripts:
            connection.execute(script)


@pytest.fixture(params=[bank, tickets, bank_of_sqlite], ids=lambda made: made.__name__)
def stranger(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stranger:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for module in ("tickets", "reflected"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    sqlite = Target.parse(f"sqlite:///{tmp_path / 'bank.db'}")
    target = sqlite if request.param is bank_of_sqlite else request.getfixturevalue("database")
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", target.text)
    made: Stranger = request.param(target)
    with Path("integrity.toml").open("a") as settings:
        settings.write(SETTINGS.format(database=inspect_database(target).name, system=made.name, weights=made.weights))
    return made


def test_each_command_takes_it(stranger: Stranger, capsys: pytest.CaptureFixture[str]) -> None:
    def integrity(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert "error of integrity's own" not in captured.err
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out or captured.err

    before = inspect_database(stranger.target).foreign
    assert integrity("snapshot", "base")[0] == 0
    code, played = integrity("suite", "short", "--json")
    (step,) = json.loads(played)["steps"]
    assert (code, step["system"], step["state"]) == (1 if step["violated"] else 0, stranger.name, "finished")
    code, loaded = integrity("run", "rough", *stranger.bug, "--fault", stranger.fault)
    assert code == 0, loaded
    assert f"fault {stranger.fault.partition('@')[0].partition(':')[0]} " in loaded
    assert integrity("monitor", "--duration", "0.5s", *stranger.watched)[0] == 0
    code, judged = integrity("validate", "--select", stranger.violated)
    assert (code, f"violated  {stranger.violated}" in judged) == (1, True), judged
    code, reproduced = integrity("reproduce", stranger.violated, "--preemptions", "1")
    assert (code, "replay: integrity replay .integrity/races/" in reproduced) == (1, True), reproduced
    (race,) = Path(".integrity/races").glob("*.json")
    assert integrity("replay", str(race))[0] == 1
    code, told = integrity("rollback", "--dry-run", "--json")
    assert (code, list(json.loads(told)["would_drop"])) == (0, ["integrity"])
    assert integrity("restore", "base", "--yes")[0] == 0
    assert integrity("validate", "--select", stranger.violated)[0] == 0
    assert integrity("run", "rough")[0] == 0
    assert integrity("rollback", "--yes")[0] == 0
    left = inspect_database(stranger.target)
    assert (left.is_ours, left.foreign) == (False, before)
