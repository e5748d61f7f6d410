"""Behind a pooler in transaction mode: what runs, watches and audits is right, and leaves nothing with its sessions."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from integrity.cli.main import main
from integrity.database.namespace import guard
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.occupancy import occupy
from integrity.engines.postgresql.copies import take
from integrity.engines.target import Target
from integrity.errors import DatabaseError
from integrity.health.before import check_before
from integrity.health.check import Health
from integrity.monitor.database import DatabaseWatch
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system
from tests.database.poolers import pooling

SESSIONS = 3
"""Of the server, for all clients of a database: fewer than a run has clients, and one of them is the run's hold."""


@pytest.fixture(scope="module")
def pooler(server: EmbeddedServer) -> Iterator[Target]:
    with pooling(server, size=SESSIONS) as target:
        yield target


@pytest.fixture
def pooled(pooler: Target, database: Target) -> Target:
    """The test's database, through the pooler."""
    return Target(pooler.url.set(database=database.url.database))


def assert_untouched(pooled: Target) -> None:
    """Look into every session that the pooler has: nothing is set, prepared, locked or listened to there."""
    left = """
        select name from pg_settings where source = 'session' and name <> 'application_name'
        union all select name from pg_prepared_statements
        union all select locktype from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
        union all select pg_listening_channels()
    """
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(psycopg.connect(pooled.text))) for _ in range(SESSIONS)]
        answers = [client.execute(left.encode()).fetchall() for client in clients]  # each is in a transaction: none shares
        pids = {client.execute("select pg_backend_pid()").fetchall()[0] for client in clients}
    assert len(pids) == SESSIONS
    assert answers == [[]] * SESSIONS


def test_monitor_health_and_books_are_right_and_tell_the_sessions_nothing(pooled: Target, database: Target) -> None:
    """A monitor's "read only" stayed with a session, and refused the writes of whoever got it next."""
    seed_system(database, guard(database, None), GHOSTPASS, sizes={"wallets": 20}, seed=1, mode=Mode.NEW)
    watch = DatabaseWatch(pooled)
    sample = watch.sample(is_full=True)
    assert "error" not in sample
    assert "missed" not in sample
    assert {"tables", "size", "activity"} <= sample.keys()
    watch.close()
    checks = {check.name: check for check in check_before(pooled, [GHOSTPASS], {}, is_required=True)}
    assert checks["pooler"].found.startswith("PgBouncer ")
    assert " in transaction mode, " in checks["pooler"].found
    assert {name for name, check in checks.items() if check.state is not Health.OK} == {"durability"}
    with pooled.open_line() as line:
        line.write("insert into integrity.notes (key, value) values ('tried', 'yes')")
        with line.transaction():
            assert line.ask("show lock_timeout") == [("10s",)]
            line.write("delete from integrity.notes where key = 'tried'")
    assert_untouched(pooled)


def test_a_hold_is_seen_through_the_pooler_and_past_it_and_goes_with_its_owner(pooled: Target, database: Target) -> None:
    with occupy(pooled, "run one", is_exclusive=False, is_kept=True) as hold:
        hold.rename("run two")
        for target in (pooled, database):
            with pytest.raises(DatabaseError, match="two, started"), occupy(target, "restore", is_exclusive=True):
                pass
        with occupy(database, "run three", is_exclusive=False):
            pass
        watch = DatabaseWatch(database)
        activity = watch.sample(is_full=False)["activity"]
        watch.close()
        assert (activity["idle_in_transaction"], activity["oldest_transaction_s"]) == (0, 0), "it holds nothing up"
    with occupy(database, "restore", is_exclusive=True):
        pass
    assert_untouched(pooled)


def test_what_needs_sessions_for_itself_is_refused_by_name(pooled: Target, database: Target) -> None:
    needs = "goes through a pooler, and what is made beside it needs the server's sessions"
    with pytest.raises(DatabaseError, match=needs) as refused, pooled.make_scratch("race"):
        pass
    assert "Name the server itself" in str(refused.value)
    with pytest.raises(DatabaseError, match="goes through a pooler, and what copies, swaps and drops databases needs"):
        take(pooled, "kept", may_end_sessions=False)


def test_a_direct_connection_is_told_from_a_pooled_one(pooled: Target, database: Target, server: EmbeddedServer) -> None:
    with closing(database.connect()) as direct, closing(pooled.connect()) as through:
        assert (direct.is_pooled, through.is_pooled) == (False, True)
        assert not direct.find_pooler()


@pytest.mark.exhaustive
def test_a_run_and_its_audit_through_a_pooler_are_those_of_a_sound_system(
    pooled: Target, database: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of its calls 86% failed: "prepared statement ... does not exist", "in a read-only transaction"."""
    seed_system(database, guard(database, None), GHOSTPASS, sizes={"wallets": 200}, seed=1, mode=Mode.NEW)
    place = ("--project", str(tmp_path), "--database", pooled.text)
    codes = []
    for words in (
        ("run", "smoke", "--system", "ghostpass", "--duration", "2s", "--json"),
        ("validate", "--system", "ghostpass"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([*words, *place])
        codes.append(ended.value.code)
    printed = capsys.readouterr().out
    assert '"failed": 0' in printed, printed[:2000]
    assert codes == [0, 0], printed[-2000:]
    assert_untouched(pooled)
