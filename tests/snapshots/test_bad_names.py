"""Names that nothing has: each is shown as it was given, with what there is or what was perhaps meant."""

from collections.abc import Callable

import pytest

from tests.snapshots.bad_input import Bad, bad, on_database

LONG = "x" * 100_000
ESCAPES = "\x1b]0;owned\x07\u202e"
SPELT = "\\x1b]0;owned\\x07\\u202e"

NAMES = [
    bad("nonsense", "no such command 'nonsense'", "integrity --help"),
    bad("sed", "no such command 'sed'", "Perhaps you meant seed."),
    bad("db nonsense", "no such command 'nonsense'", "integrity db --help"),
    bad("--nonsense", "no such option '--nonsense'"),
    bad("run hammer --nonsense", "no such option '--nonsense'", "integrity run --help"),
    bad("run", "missing argument 'PROFILE'", "integrity run --help"),
    bad("run --duration 4s", "missing argument 'PROFILE'", "The profiles of ghostpass are: smoke, pilot, entry-scan"),
    bad("run --duration 4s --system inbox", "missing argument 'PROFILE'", "The profiles of inbox are: smoke"),
    bad("run hammer peak", "unexpected extra argument", "peak"),
    bad("run hammer --bug", "'--bug' requires an argument", "See `integrity run --help`"),
    bad("suite", "missing argument 'NAME'", "The suites are: ci, quick, full"),
    bad("explain", "missing argument 'NAME'"),
    bad("replay", "missing argument 'FILE'"),
    bad("restore", "missing argument 'NAME'"),
    bad("reproduce", "missing argument 'VIOLATION'"),
    bad("seed --project no-such-folder", "'--project'", "no-such-folder", "does not exist"),
    bad("list --project file.txt", "'--project'", "file.txt", files={"file.txt": ""}),
    bad("seed --system ghostpas", "unknown system 'ghostpas'", "ghostpass"),
    bad("seed --replace --append", "exclude each other", "Name one"),
    bad("seed --system ghostpass --messages 5", "--messages", "ghostpass has no messages", "--wallets"),
    bad("run peek", "no profile 'peek'", "hammer"),
    bad("run hammer --system nowhere", "unknown system 'nowhere'", "ghostpass"),
    bad("run hammer --bug double_spend", "no bug 'double_spend'", "double_credit"),
    bad("run hammer --connections 5", "has no connections", "closed"),
    bad("suite slow", "no suite is called 'slow'", "quick"),
    bad("suite quick --system nowhere", "unknown system 'nowhere'"),
    bad("faults lost_comit_ack", "no fault 'lost_comit_ack'", "lost_commit_ack"),
    bad("run hammer --fault nothing@1-2", "no fault 'nothing'", "lost_commit_ack"),
    bad("run hammer --fault lost_commit_ack", "does not say when", "@"),
    bad("run hammer --fault lost_commit_ack@2-1", "from 2 s to 1 s is no window"),
    bad("run hammer --fault lost_commit_ack:sahre=1@1-2", "no argument 'sahre'", "share"),
    bad("run hammer --fault db_latency@1-3 --fault client_crash@2-4", "overlap", "--faults-may-overlap"),
    bad("validate --format pdf", "'--format'", "'pdf'", "junit"),
    bad("validate --select ghostpass/ballance-*", "no invariant fits 'ghostpass/ballance-*'", "ghostpass/"),
    bad("list --select nothing-*", "no invariant fits 'nothing-*'"),
    bad("list --system nowhere", "unknown system 'nowhere'"),
    bad("explain ghostpass/balance-equals-entrys", "balance-equals-entrys", "ghostpass/balance-equals-entries"),
    bad("explain call-at-most-once", "names", "Say which"),
    bad(("explain", ""), "no invariant is called ''"),
    bad("queries list --system nowhere", "unknown system 'nowhere'"),
    bad("queries ask nothing", "no query is called 'nothing'"),
    bad("queries run inbox/inbx", "no query is called 'inbox/inbx'"),
    bad("race nowhere", "unknown system 'nowhere'", "The systems are"),
    bad("race sell", "'sell' is no system", "integrity race ghostpass sell"),
    bad("race ghostpass sel", "no operation 'sel'", "sell"),
    bad("race ghostpass sell --isolation chaos", "'--isolation'", "'chaos'", "serializable"),
    bad("race ghostpass sell --bug nope", "no bug 'nope'"),
    bad("race ghostpass sell sell --schedule AC", "schedule 'AC': letter 2 is 'C'", "A, B"),
    bad("race ghostpass sell --schedule A?B", "letter 2 is '?'"),
    bad("race ghostpass --schedule AB", "none are named", "race ghostpass request_funding request_funding --schedule ABBA"),
    bad("race ghostpass --mutate --bug lost_update", "--mutate", "Leave --bug"),
    bad("race ghostpass sell --pytest found.txt", "found.txt", "test_race.py"),
    bad("replay missing.json", "missing.json"),
    bad("reproduce balance-not-negative", "no run", "has been audited", "integrity validate"),
    bad("reproduce balance-not-negative --run 20200101-000000-x", "'20200101-000000-x' has not been audited"),
    bad("stop 20200101-000000-x", "no run '20200101-000000-x'"),
    bad("monitor --process nobody", "--process 'nobody'", "PID or NAME=PID"),
    bad("db start --database postgresql://u:hunter2@host/x", "db start is for the embedded server", "Leave --database out"),
    bad("db psql --database sqlite:///venue.db", "is not PostgreSQL", "sqlite3 "),
    bad("db reset", "nobody answered", "integrity db reset --yes"),
    on_database("restore nothing --yes", "has no snapshot 'nothing'"),
    on_database("snapshot --drop nothing", "has no snapshot 'nothing'"),
    on_database(("snapshot", "A Name"), "'A Name' cannot be a snapshot's name", "At most 30"),
    on_database(("snapshot", ""), "'' cannot be a snapshot's name"),
    on_database(f"snapshot {'x' * 31}", "cannot be a snapshot's name", "At most 30"),
    on_database("validate --system nowhere", "unknown system 'nowhere'"),
    on_database("validate --run 20200101-000000-ghostpass-hammer", "no run '20200101-000000-ghostpass-hammer'"),
    on_database("health --system nowhere", "unknown system 'nowhere'"),
    on_database("queries run --system inbox", "holds no inbox", "integrity seed"),
    on_database("queries ask ghostpass/refunds --set nothing", "--set 'nothing'", "NAME=VALUE"),
    on_database("seed --system ghostpass", "already holds ghostpass", "--replace"),
    on_database("seed --system inbox --append", "holds no inbox", "--append"),
    on_database("rollback", "nobody answered", "--yes"),
    on_database("run hammer --system inbox", "inbox", "integrity seed"),
]


@pytest.mark.parametrize("case", NAMES, ids=str)
def test_a_name_that_nothing_has_is_told_with_what_there_is(refuse: Callable[[Bad], None], case: Bad) -> None:
    refuse(case)


PLACES = [
    "{}",
    "seed --system {}",
    "run {}",
    "run hammer --system {}",
    "run hammer --bug {}",
    "run hammer --fault {}@1-2",
    "run hammer --fault lost_commit_ack@1-2{}",
    "run hammer --duration {}",
    "suite {}",
    "faults {}",
    "validate --format {}",
    "validate --select {}",
    "validate --database {}",
    "explain {}",
    "queries ask {}",
    "race {}",
    "race ghostpass {}",
    "race ghostpass sell sell --schedule {}",
    "replay {}",
    "stop {}",
    "monitor --process {}",
    "list --project {}",
]


@pytest.mark.parametrize("place", PLACES)
def test_a_name_of_a_hundred_thousand_letters_is_not_echoed(refuse: Callable[[Bad], None], place: str) -> None:
    refuse(Bad(place.format(LONG), ("xxx",)))


@pytest.mark.parametrize("place", PLACES)
def test_a_name_that_a_terminal_would_obey_is_spelt_out(refuse: Callable[[Bad], None], place: str) -> None:
    words = tuple(word.format(ESCAPES) for word in place.split())
    refuse(Bad(words, ("owned", "x1b", "u202e")))
