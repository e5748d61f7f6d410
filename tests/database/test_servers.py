"""Each command and kind of session on servers of other kinds than the suite's own: it works, or says why it does not.

A run of the suite plays one of the kinds, `make proof` all; see tests/sampling.py, which counts on every test here having
each kind once, in the order of KINDS.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.database.namespace import inspect_database
from integrity.engines.embedded.server import EmbeddedServer
from tests.database.servers import KINDS, READERS, WALLETS, Place, Servers

pytestmark = pytest.mark.parametrize("kind", KINDS)

BALANCE = "ghostpass/balance-equals-entries"
RACE = ("race", "ghostpass", "sell", "sell", "--preemptions", "1")

# Why not, by kind of server.
NO_SCHEMA = {
    "reader": "permission denied for database",
    "standby": "cannot execute CREATE SCHEMA in a read-only transaction",
}
NO_LOCK = {"reader": "permission denied for table", "standby": "cannot execute LOCK TABLE during recovery"}
NO_NOTE = {"reader": "permission denied for table runs", "standby": "cannot execute INSERT in a read-only transaction"}
NO_DATABASE = {
    "owner": "permission denied to create database",
    "reader": "permission denied to create database",
    "standby": "cannot execute CREATE DATABASE in a read-only transaction",
}
NO_SCRATCH = {
    **NO_DATABASE,
    "owner": "its user may not create databases, and races would add rows",
    "reader": "its user may not create databases, and races would add rows",
}


@dataclass
class Ran:
    code: int
    out: str
    err: str

    def refuses(self, reason: str) -> bool:
        """Whether it ended with one paragraph, of this reason and with what to do, as what a user can mend."""
        said, _, hint = ("\n" + self.err).rpartition("\nintegrity: ")[2].partition("\n  hint: ")
        is_paragraph = "\n" not in said and hint.count("\n") == 1 and hint.endswith("\n")
        return (self.code, self.out) == (2, "") and is_paragraph and reason in said


Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def servers(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(server, tmp_path_factory.mktemp, stack)


@pytest.fixture
def venue(servers: Servers, kind: str) -> Iterator[Place]:
    """A small consistent world of ghostpass."""
    with servers.place(kind) as place:
        yield place


@pytest.fixture
def empty(servers: Servers, kind: str) -> Iterator[Place]:
    """A database with nothing in it."""
    with servers.place(kind, is_empty=True) as place:
        yield place


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on a place, in an empty folder that is the project."""
    monkeypatch.chdir(tmp_path)

    def run(place: Place, *words: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--database", place.target.text])
        printed = capfd.readouterr()
        return Ran(int(str(ended.value.code)), printed.out, printed.err)

    return run


def test_a_world_is_seeded_and_removed(empty: Place, run: Run) -> None:
    seeded = run(empty, "seed", "--system", "ghostpass", "--wallets", "30")
    if empty.kind in READERS:
        assert seeded.refuses(NO_SCHEMA[empty.kind]), seeded
        return
    assert (seeded.code, "30 wallets, seed 1" in seeded.out) == (0, True), seeded
    assert run(empty, "validate", "--system", "ghostpass").code == 0
    planned = run(empty, "rollback", "--dry-run")
    assert (planned.code, "    wallets: 30 rows\n" in planned.out) == (0, True), planned
    removed = run(empty, "rollback", "--yes")
    assert (removed.code, removed.out.startswith("Removed 16 tables in ghostpass and integrity.")) == (0, True), removed
    assert not inspect_database(empty.target).ours


def test_a_world_stays_where_the_role_or_the_server_only_reads(venue: Place, run: Run) -> None:
    planned = run(venue, "rollback", "--dry-run")
    assert (planned.code, f"    wallets: {WALLETS} rows\n" in planned.out) == (0, True), planned
    removed = run(venue, "rollback", "--yes")
    if venue.kind in READERS:
        assert removed.refuses(NO_LOCK[venue.kind]), removed
    else:
        assert removed.code == 0, removed
    assert bool(inspect_database(venue.target).ours) == (venue.kind in READERS)


def test_an_audit_says_what_holds_and_shows_what_does_not(venue: Place, run: Run) -> None:
    sound = run(venue, "validate")
    assert (sound.code, sound.out.endswith("All 35 invariants hold.\n")) == (0, True), sound
    venue.execute("update ghostpass.wallets set balance_minor = balance_minor + 5 where id in (3, 4)")
    for words in ([], ["--exact"]):
        ran = run(venue, "validate", "--json", *words)
        judged = {found["name"]: found for found in json.loads(ran.out)["invariants"]}
        assert (ran.code, judged[BALANCE]["verdict"]) == (1, "violated"), ran
        assert [row["wallet_id"] for row in judged[BALANCE]["rows"]] == [3, 4]
        assert {found["verdict"] for found in judged.values()} == {"holds", "violated"}


def said(ran: Ran) -> str:
    """Return what was printed, however its lines were broken."""
    return " ".join(ran.out.split())


def test_a_run_bears_a_fault_and_its_calls_are_judged(venue: Place, run: Run) -> None:
    words = ("--system", "ghostpass", "--duration", "1s", "--clients", "3", "--seed", "1")
    # On a busy machine a second is too short for the profile's limit, and that is told by 3.
    if venue.kind in READERS:
        refused = run(venue, "run", "hammer", *words)
        assert refused.refuses(NO_NOTE[venue.kind]), refused
        assert "What was recorded" not in refused.err
        return
    ran = run(venue, "run", "hammer", *words)
    assert (ran.code, re.search(r"thresholds: 1 (passed|not measured)", said(ran)) is not None) in ((0, True), (3, True)), (
        ran
    )
    # Sessions end as this role may end them; that makes calls fail, whose share is over the profile's limit or is not.
    faulted = ("--duration", "3s", "--fault", "backend_terminated@20%-80%")  # a busy machine may come late to a short one
    ran = run(venue, "run", "hammer", *words, *faulted)
    assert (ran.code in (0, 3, 4), re.search(r"[1-9]\d* backends? terminated", said(ran)) is not None) == (True, True), ran
    judged = run(venue, "validate", "--system", "ghostpass")
    assert (judged.code, judged.out.endswith("All 35 invariants hold.\n")) == (0, True), judged
    after = run(venue, "health", "--after")
    assert (after.code, "none is running, none was killed" in after.out) == (0, True), after


def test_a_race_is_found_and_played_again_and_a_sound_pair_has_none(venue: Place, run: Run) -> None:
    if venue.kind in NO_DATABASE:
        refused = run(venue, *RACE)
        assert refused.refuses(NO_SCRATCH[venue.kind]), refused
    with venue.making_databases() as may_make:
        if not may_make:
            return
        found = run(venue, *RACE, "--bug", "lost_update")
        assert (found.code, "lost update" in found.out) == (1, True), found
        again = run(venue, "replay", ".integrity/races/ghostpass-lost_update-sell-sell.json")
        assert (again.code, "the failure came back 1 of 1 time" in again.out) == (1, True), again
        sound = run(venue, *RACE)
        assert (sound.code, "with at most 1 preemption goes wrong" in sound.out) == (0, True), sound


def test_a_database_is_found_healthy_watched_and_asked(venue: Place, run: Run) -> None:
    health = run(venue, "health", "--system", "ghostpass")
    assert (health.code, "healthy, with warnings: " in health.out, "0 failed" in health.out) == (0, True, True), health
    watched = run(venue, "monitor", "--duration", "1s", "--every", "0.3s", "--json")
    lines = [json.loads(line) for line in watched.out.splitlines()]
    assert (watched.code, [line["kind"] for line in lines].count("sample") > 1) == (0, True), watched
    asked = run(venue, "queries", "run", "--system", "ghostpass")
    assert (asked.code, "passed    ghostpass/wallet-statement" in asked.out) == (0, True), asked


def test_a_database_is_kept_and_put_back(venue: Place, run: Run) -> None:
    if venue.kind in NO_DATABASE:
        refused = run(venue, "snapshot", "seeded")
        assert refused.refuses(NO_DATABASE[venue.kind]), refused
        assert ("alter role ... createdb" in refused.err) == (venue.kind != "standby"), refused
    with venue.making_databases() as may_make:
        if not may_make:
            return
        kept = run(venue, "snapshot", "seeded")
        assert (kept.code, "kept as seeded" in kept.out) == (0, True), kept
        venue.execute("delete from ghostpass.entries")
        assert run(venue, "validate", "--select", BALANCE).code == 1
        restored = run(venue, "restore", "seeded", "--yes")
        assert restored.code == 0, restored
        assert run(venue, "validate", "--select", BALANCE).code == 0
        dropped = run(venue, "snapshot", "--drop", "seeded")
        assert (dropped.code, dropped.out) == (0, "Dropped snapshot seeded.\n"), dropped
