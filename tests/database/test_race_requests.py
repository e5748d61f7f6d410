"""`integrity race` on an application's requests: started on a copy of its database, nothing in it changed."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from integrity.engines.target import Target
from integrity.jobs import site
from tests.database.race_commands import Command, race_requests_beside

APP = f"{sys.executable} {Path(__file__).parents[1] / 'race_app' / 'shop.py'}"
BUYER = f"{sys.executable} {Path(__file__).parents[1] / 'race_app' / 'buyer.py'}"
SCENARIO = """
[app]
command = "{app}"
url = "http://127.0.0.1:${{PORT}}"

[[actors]]
requests = ["POST /{path}"]
count = 2

[expect]
exactly_one = 200
"""

SOLD = "select count(*) as sold from orders having count(*) > 1"


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    (tmp_path / "scenarios").mkdir()
    return race_requests_beside(database, tmp_path, monkeypatch, capsys)


def curl(path: str) -> tuple[str, ...]:
    return ("--command", APP, "--curl", f"curl -X POST http://127.0.0.1:9/{path}")


def scenario(path: str) -> None:
    Path("scenarios/buy.toml").write_text(SCENARIO.format(app=APP, path=path))


def test_two_requests_that_lose_an_update_are_found_with_their_sql_and_schedule(integrity: Command) -> None:
    scenario("buy")
    code, out, _ = integrity("--scenario", "buy")
    assert code == 1, out
    assert "select left_over from stock where id = 1" in " ".join(out.split())
    assert "2 of 2 were answered with 200 (A, B), not one" in " ".join(out.split())
    assert "lost update" in " ".join(out.split())
    lock = "row lock select left_over from stock where id = 1 for update: prevented: B waited for A, then declined: 409"
    assert " ".join(out.split()).count(lock) == 1, out


def test_a_unique_index_is_tried_on_our_copy_and_what_refuses_calls_is_held_against_them_one_after_the_other(
    integrity: Command, database: Target
) -> None:
    code, out, _ = integrity(*curl("reserve"), "--json")
    cures = {each["name"]: each for each in json.loads(out)["findings"][0]["cures"]}
    index = cures.pop("orders (item_id)")
    assert (code, index["kind"], index["sql"]) == (
        1,
        "unique index",
        "CREATE UNIQUE INDEX orders_item_id_key ON orders (item_id)",
    )
    assert (index["is_prevented"], index["is_sound"], index["held_against"]) == (True, True, ["as raced"])
    assert "was refused with 23505" in index["verdict"]
    found = {name: (each["is_prevented"], each["is_sound"]) for name, each in cures.items()}
    lock = "stock, before it is looked"
    assert found == {lock: (True, True), "repeatable read": (False, None), "serializable": (True, True)}
    assert cures[lock]["sql"] == "select id from stock where id = 1 for update"
    with closing(database.connect()) as connection:
        assert connection.execute(b"select from pg_indexes where indexname = 'orders_item_id_key'").fetchall() == []


@pytest.mark.parametrize(
    ("how", "path", "code", "said"),
    [
        ("once", "buy", 1, "(create table public.shelf): it is started once before"),
        pytest.param("once", "note", 1, "a copy of the database that is made anew", marks=pytest.mark.exhaustive),
        ("anew", "buy", 2, "the application makes its tables anew each time that it starts"),
    ],
)
def test_what_an_application_makes_as_it_starts_is_what_each_schedule_begins_with(
    integrity: Command, how: str, path: str, code: int, said: str
) -> None:
    command = f"{sys.executable} {Path(__file__).parents[1] / 'race_app' / 'makes_at_start.py'} {how}"
    ended, out, err = integrity("--command", command, "--curl", f"curl -X POST http://127.0.0.1:9/{path}", "--json")
    assert (ended, said in " ".join(err.split())) == (code, True), out + err
    if out:
        assert json.loads(out)["findings"][0]["anomaly"] == "P4"


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("path", "preemptions", "verdict"), [("buy-locked-counted", "0", "unknown"), ("buy-counted", "1", "violated")]
)
def test_what_is_not_undone_is_raced_on_a_copy_made_anew_and_never_said_to_hold(
    integrity: Command, database: Target, path: str, preemptions: str, verdict: str
) -> None:
    """What a refreshed view holds is compared by nobody; two buyers of the last one are wrong whatever it holds."""
    with closing(database.connect()) as connection:
        connection.execute(b"create materialized view sold as select count(*) as n from orders")
        connection.commit()
    scenario(path)
    code, out, err = integrity("--scenario", "buy", "--preemptions", preemptions, "--json")
    told = json.loads(out)
    refreshed = "refresh materialized view public.sold"
    assert (code, told["verdict"]) == ({"unknown": 3, "violated": 1}[verdict], verdict), (out, err)
    assert re.match(r"rows: a database made anew from a template, [\d,.]+ ms a schedule, as POST /buy.*: ", told["rows"])
    assert "each schedule gets a copy of the database that is made anew" in " ".join(err.split())
    if verdict == "unknown":
        assert f"what a call did is not compared: {refreshed}" in told["cut"], told
    else:
        assert told["findings"][0]["anomaly"] == "P4", told


def test_a_line_pasted_from_a_browser_is_made_twice_at_the_address_of_the_application(integrity: Command) -> None:
    code, out, _ = integrity(*curl("buy"))
    assert (code, "lost update" in " ".join(out.split())) == (1, True), out


def test_what_a_scenario_expects_of_the_rows_is_asked_and_what_it_calls_volatile_is_not_compared(
    integrity: Command,
) -> None:
    invariants = Path("invariants")
    invariants.mkdir()
    (invariants / "sold.sql").write_text("-- title: no more is sold than was there\n" + SOLD)
    (invariants / "other.sql").write_text("-- title: of another database\nselect id from nothing")
    cases = (
        ("buy", "invariants = ['sold']", 1, "violated sold 1 row"),
        ("buy-locked", "", 0, "invariant other is not asked: the database refuses it"),
        ("buy-locked", "invariants = ['other']", 2, "expect.invariants: other: the database refuses it"),
        ("buy-locked", "volatile = { columns = ['stock.left_over'] }", 0, "not compared: stock.left_over (volatile)"),
    )
    for path, key, code, said in cases:
        scenario(path)
        text = Path("scenarios/buy.toml").read_text().replace("exactly_one = 200", key)
        Path("scenarios/buy.toml").write_text(text)
        ended, out, err = integrity("--scenario", "buy")
        assert (ended, said in " ".join((out + err).split())) == (code, True), out + err


def test_rows_that_are_made_once_are_there_in_every_schedule(integrity: Command, database: Target) -> None:
    with closing(database.connect()) as connection:
        connection.execute(b"delete from stock")
        connection.commit()
    for path, expected in (("buy", 1), ("buy-locked", 0)):
        scenario(path)
        text = Path("scenarios/buy.toml").read_text()
        Path("scenarios/buy.toml").write_text(f"{text}\n[setup]\nonce = true\nsql = 'insert into stock values (1, 1)'\n")
        code, out, _ = integrity("--scenario", "buy")
        assert code == expected, out


def test_what_is_found_is_as_small_as_may_be_and_is_played_again_by_its_file_and_by_its_token(
    integrity: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = "[[actors]]\nrequests = ['POST /ping', 'POST /buy password=x7secret', 'POST /ping']\ncount = 3\n"
    text = SCENARIO.partition("[[actors]]")[0].format(app=APP) + actor
    Path("scenarios/buy.toml").write_text(text)
    code, out, _ = integrity("--scenario", "buy", "--json")
    (found,) = json.loads(out)["findings"]
    record = found["scenario"]
    assert (code, found["preemptions"], record["kept"]) == (1, 1, [[0, [1]], [1, [1]]])
    assert record["token"] == f"r1:buy:{record['digest']}:0.1-1.1:B1:s"
    assert "x7secret" not in Path(found["file"]).read_text()
    code, out, _ = integrity(found["file"], "--json", command="replay")
    told = json.loads(out)
    assert (code, told["came_back"], told["differences"]) == (1, 1, [])

    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "scenarios").mkdir(parents=True)
    (elsewhere / "integrity.toml").write_text("")
    monkeypatch.chdir(elsewhere)
    Path("scenarios/buy.toml").write_text(f"title = 'there'\n{text.replace('x7secret', 'another')}")
    code, out, _ = integrity(record["token"], "--json", command="replay")
    assert (code, json.loads(out)["violated"]) == (1, ["serial equivalence"])
    Path("scenarios/buy.toml").write_text(text.replace("/buy", "/buy-locked"))
    code, _, err = integrity(record["token"], command="replay")
    assert (code, "another scenario than the token is of" in " ".join(err.split())) == (2, True), err


def test_a_test_is_written_that_asks_the_application_again(integrity: Command) -> None:
    scenario("buy")
    integrity("--scenario", "buy", "--pytest", "tests/test_buy.py")
    written = Path("tests/test_buy.py")
    beside = written.with_suffix(".json")
    with pytest.raises(pytest.fail.Exception, match=r"(?s)came back 1 of 1 time.*update stock set left_over = 0"):
        runpy.run_path(str(written))["test_post_buy_and_post_buy"]()
    alone = Path("tests/test_buy_statements.py").read_text()
    assert alone.count('connection.execute("update stock set left_over = 0 where id = 1")') == 2
    assert "integrity_capture" not in Path("tests/test_buy_statements.sql").read_text()
    Path("scenarios/buy.toml").unlink()  # the finding carries it
    beside.write_text(beside.read_text().replace("POST /buy", "POST /buy-locked"))
    runpy.run_path(str(written))["test_post_buy_and_post_buy"]()


@pytest.mark.exhaustive
def test_the_test_without_the_application_is_red(integrity: Command, database: Target) -> None:
    scenario("buy")
    integrity("--scenario", "buy", "--pytest", "tests/test_buy.py")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_buy_statements.py"],
        env={**os.environ, "DATABASE_URL": database.text, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ran.returncode, "in SERIAL_ORDERS" in ran.stdout) == (1, True), ran.stdout


def test_a_finding_that_does_not_come_back_is_told_with_what_has_changed(integrity: Command) -> None:
    code, out, _ = integrity(*curl("buy"), "--json", "--output", "found.json")
    Path("found.json").write_text(Path("found.json").read_text().replace("buy", "buy-locked"))
    code, out, _ = integrity("found.json", command="replay")
    assert code == 0, out
    assert "came back 0 of 1 time" in " ".join(out.split())
    assert "is `select left_over from stock where id = 1 for update`" in " ".join(out.split())


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("broken", "A and B fail alone, too: 500 no such page"),
        ("forbidden", "no call took effect"),
        ("sent-on", "no call changed a row"),
    ],
)
def test_calls_that_do_not_do_what_they_did_when_the_race_was_found_tell_nothing_of_a_fix(
    integrity: Command, path: str, why: str
) -> None:
    code, out, _ = integrity(*curl("buy"), "--json", "--output", "found.json")
    Path("found.json").write_text(Path("found.json").read_text().replace("buy", path))
    code, out, err = integrity("found.json", command="replay")
    said = " ".join(out.split())
    assert (code, "came back 0 of 1 time" in said, f"nobody knows whether that is a fix: {why}" in said) == (
        3,
        True,
        True,
    ), out + err
    code, out, _ = integrity("found.json", "--json", command="replay")
    assert (code, [why in each["why_unknown"] for each in json.loads(out)["replays"]]) == (3, [True])


def test_the_same_behind_a_lock_is_searched_to_the_end(integrity: Command) -> None:
    scenario("buy-locked")
    code, out, _ = integrity("--scenario", "buy", "--json")
    told = json.loads(out)
    assert (code, told["verdict"], told["is_exhaustive"], told["actors"]) == (
        0,
        "holds",
        True,
        {"A": "POST /buy-locked", "B": "POST /buy-locked"},
    )


@pytest.mark.slow  # each schedule starts two processes
def test_two_commands_race_without_an_application_on_a_copy_and_behind_a_lock_they_do_not(
    integrity: Command, database: Target
) -> None:
    code, out, err = integrity("--actor", f"{BUYER} ''", "--json")
    assert code == 1, out + err
    (found,) = json.loads(out)["findings"]
    assert (found["anomaly"], found["scenario"]["token"].startswith("r1:")) == ("P4", True)
    words = ("--actor", f"{BUYER} 'for update'", "--actor", f"{BUYER} 'for no key update'")
    code, out, err = integrity(*words, "--preemptions", "1", "--json")
    told = json.loads(out)
    assert (code, told["verdict"], list(told["actors"].values())) == (0, "holds", list(words[1::2])), out + err
    with closing(database.connect()) as connection:
        assert connection.execute(b"select left_over, (select count(*) from orders) from stock").fetchall() == [(1, 0)]


def test_pairs_are_foretold_of_what_each_request_did_alone_and_raced_the_worst_first(integrity: Command) -> None:
    actors = "".join(f"[[actors]]\nrequests = ['POST /{path}']\n" for path in ("buy-locked", "buy"))
    others = "[setup]\nsql = 'update stock set left_over = 2'\n[expect]\nexactly_one = 200\n"  # of all, and of no pair
    Path("scenarios/shop.toml").write_text(SCENARIO.partition("[[actors]]")[0].format(app=APP) + actors + others)
    code, out, err = integrity("--learn", "shop", "--json", "--pytest", "test_shop.py")
    assert Path("test_shop.py").exists(), "of the worst finding"
    told = json.loads(out)
    pairs = [(each["names"], each["conflict"], each["verdict"]) for each in told["pairs"]]
    assert pairs == [
        (["POST /buy-locked", "POST /buy"], "lost_change", "violated"),
        (["POST /buy", "POST /buy"], "lost_change", "violated"),
        (["POST /buy-locked", "POST /buy-locked"], "unguarded_inserts", "holds"),
    ], out
    assert (code, told["apart"]) == (1, 0)
    assert told["calls"][0] == {
        "name": "POST /buy-locked",
        "reads": [],
        "locks": ["orders", "stock"],
        "writes": ["orders", "stock"],
    }
    for pair in told["pairs"][:2]:
        code, out, err = integrity(pair["findings"][0], command="replay")
        assert code == 1, out + err
    tokens = [json.loads(Path(pair["findings"][0]).read_text())["scenario"]["token"] for pair in told["pairs"][:2]]
    shutil.rmtree(".integrity/races")  # as on another machine
    for token in tokens:
        code, out, err = integrity(token, command="replay")
        assert code == 1, out + err
    code, out, err = integrity("--learn", "shop", "--budget", "1ms")
    assert (code, out.count("not raced: the budget was spent")) == (3, 3), out + err


def test_what_the_application_does_is_done_to_a_copy_of_its_database(database: Target, integrity: Command) -> None:
    scenario("buy")
    integrity("--scenario", "buy")
    with closing(database.connect()) as connection:
        assert connection.execute(b"select left_over, (select count(*) from orders) from stock").fetchall() == [(1, 0)]
        left = connection.execute(b"select datname from pg_database where datname like 'integrity_tmp%'").fetchall()
    assert left == []


def test_an_application_that_does_not_reach_its_database_by_us_is_told_how(
    integrity: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_DATABASE", "1")
    scenario("ping")
    code, _, err = integrity("--scenario", "buy")
    assert (code, "no statement of the application was seen" in " ".join(err.split())) == (2, True), err


def test_an_application_that_dies_is_told_with_its_log(integrity: Command) -> None:
    Path("scenarios/buy.toml").write_text(SCENARIO.format(app="python3 -c 'raise SystemExit(7)'", path="buy"))
    code, _, err = integrity("--scenario", "buy")
    assert (code, "ended with 7 before it was ready" in " ".join(err.split())) == (2, True), err


def test_what_a_scenario_names_that_is_not_there_is_told_before_a_copy_is_made(
    integrity: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "make_copy", lambda _place: pytest.fail("a copy was made"))
    Path("invariants").mkdir()
    Path("invariants/sold.sql").write_text(f"-- title: t\n-- severity: error\n{SOLD}")
    Path("invariants/of-item.sql").write_text(
        "-- title: t\n-- severity: error\n-- parameter: item integer = 1\nselect id from stock where id = :item"
    )
    for said, told in (
        ('[expect]\ninvariants = ["sodl"]', "expect.invariants: no invariant fits 'sodl'"),
        ('[expect]\ninvariants = ["of-item"]', "expect.invariants: of-item: it has parameters: item"),
        (
            '[expect]\nvolatile = { columns = ["stock.left_ovr"] }',
            "no table has 'stock.left_ovr' hint: Perhaps you meant stock.left_over",
        ),
        ('[setup]\npython = "row_maker:make"', "setup.python: 'row_maker:make': No module named 'row_maker'"),
        ('[setup]\npython = "json:make"', "setup.python: 'json:make': module 'json' has no attribute 'make'"),
        ('[database]\nurl = "mysql://shop:hunter2@localhost/shop"', "scenarios/buy.toml:11:1: database.url: "),
    ):
        Path("scenarios/buy.toml").write_text(f"{SCENARIO.format(app=APP, path='buy').partition('[expect]')[0]}{said}\n")
        code, _, err = integrity("--scenario", "buy")
        assert (code, told in " ".join(err.split()), "hint: " in err, "hunter2" in err) == (2, True, True, False), err


def test_one_that_runs_already_is_raced_on_a_declared_test_database_only(integrity: Command) -> None:
    code, _, err = integrity("--app", "http://127.0.0.1:9", "--curl", "curl -X POST http://127.0.0.1:9/buy")
    assert (code, "that we did not make" in " ".join(err.split())) == (2, True), err


def test_a_volatile_column_that_no_start_of_the_application_made_is_told_behind_it(integrity: Command) -> None:
    scenario("buy")
    with Path("scenarios/buy.toml").open("a") as file:
        file.write('volatile = { columns = ["made_by_migrations"] }\n')
    code, _, err = integrity("--scenario", "buy")
    assert (code, "expect.volatile.columns: no table has 'made_by_migrations'" in " ".join(err.split())) == (2, True), err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--app", "http://127.0.0.1:9"), "no request to race"),
        (("--scenario", "by"), "cannot be read"),
        (("sell", "--app", "http://127.0.0.1:9"), "operations are raced by name"),
        (("--learn", "buy", "--scenario", "buy"), "goes with no other"),
        (("--scenario", "buy", "--scenario=sell"), "--scenario is given 2 times, 'buy' and 'sell', and takes one value"),
        (("--app", "--curl", "--curl", "curl /", "--app=b"), "--app is given 2 times, '--curl' and 'b'"),
        (("--actor", f"{sys.executable} -c pass"), "no statement of a command was seen"),
    ],
)
def test_words_that_do_not_go_together_are_refused(integrity: Command, words: tuple[str, ...], told: str) -> None:
    code, _, err = integrity(*words)
    assert (code, told in " ".join(err.split())) == (2, True), err
