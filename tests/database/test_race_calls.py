"""Races of functions: any driver, any order of their statements, through the proxy, on rows that are put back."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import create_engine, text

from integrity.engines.target import Target
from integrity.errors import UnsafeDatabase, UsageError
from integrity.jobs.calls_raced import NotHeld
from integrity.jobs.race_calls import CallRace
from integrity.verdict import Verdict

SCHEMA = """
create table wallets (id int primary key, balance int not null);
create table payments (id bigserial primary key, wallet_id int not null references wallets, amount int not null);
create table redeemed (coupon text not null);
insert into wallets values (1, 100);
"""

SLOW_COMMIT = b"""
create function nap() returns trigger language plpgsql as $$ begin perform pg_sleep(0.03); return null; end $$;
create constraint trigger nap after insert on redeemed deferrable initially deferred for each row execute function nap();
"""
"""Whoever has inserted there is still in his transaction when a call that did not wait for him is over."""

Call = Callable[[], object]


class NotEnough(Exception):
    """A business no."""


@pytest.fixture
def wallets(database: Target) -> Iterator[CallRace]:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
    with CallRace(database, declines=[NotEnough], test_database=database.url.database) as race:
        yield race


def pay(race: CallRace, lock: str = "") -> None:
    with psycopg.connect(race.url) as connection:
        ((balance,),) = connection.execute(f"select balance from wallets where id = 1 {lock}".encode()).fetchall()
        if balance < 80:
            raise NotEnough
        connection.execute("insert into payments (wallet_id, amount) values (1, %s)", (80,))
        connection.execute("update wallets set balance = %s where id = 1", (balance - 80,))


def redeem(race: CallRace, prepare: bool) -> None:
    with psycopg.connect(race.url, autocommit=True) as connection:
        connection.execute(
            "insert into redeemed select %s where not exists (select from redeemed)", ("X",), prepare=prepare
        )


def rows_of(database: Target) -> list[Any]:
    with closing(database.connect()) as connection:
        return connection.execute(
            b"select (select max(w::text) from wallets w), (select count(*) from payments), nextval('payments_id_seq')"
        ).fetchall()


def test_an_update_that_is_lost_is_found_with_its_schedule_and_its_name(wallets: CallRace) -> None:
    raced = wallets(lambda: pay(wallets))
    with pytest.raises(NotHeld, match=r"(?s)schedule ABBBBAAA.*lost update"):
        raced.holds()


def test_what_is_found_is_played_again_by_its_token_and_its_file(wallets: CallRace, tmp_path: Path) -> None:
    lock = ""

    def buy() -> None:
        pay(wallets, lock)

    finding = wallets(buy).finding
    assert finding is not None
    assert (finding.schedule, finding.token.split(":")[3:]) == ("ABBBBAAA", ["", "B1", "s"])
    assert finding.token in finding.text
    for kept in (finding.token, finding.save(tmp_path / "found.json")):
        with pytest.raises(NotHeld, match="serial equivalence"):
            wallets.replay(kept, buy).holds()
    lock = "for update"
    assert not wallets.replay(finding.token, buy).holds().is_back
    lock = "for no key"  # is no SQL
    with pytest.raises(NotHeld, match="nobody knows whether it holds: A and B fail alone, too: SyntaxError"):
        wallets.replay(finding.token, buy).holds()
    with pytest.raises(UsageError, match="these calls are buy, buy, buy"):
        wallets.replay(finding.token, buy, count=3)


def test_answers_that_were_claimed_otherwise_are_kept_as_well(wallets: CallRace) -> None:
    lock = ""

    def buy() -> None:
        pay(wallets, lock)

    raced = wallets(buy)
    with pytest.raises(NotHeld, match="2 calls of 2 succeeded in schedule") as told:
        raced.exactly_one_succeeds()
    assert raced.finding is not None
    assert raced.finding.token in str(told.value)
    with pytest.raises(NotHeld, match="what is expected of the answers"):
        wallets.replay(raced.finding.token, buy).holds()
    lock = "for update"
    wallets.replay(raced.finding.token, buy).holds()


def test_the_same_behind_a_lock_is_searched_to_the_end_and_holds(wallets: CallRace) -> None:
    raced = wallets(lambda: pay(wallets, "for update")).holds().exactly_one_succeeds().no_deadlock()
    assert raced.found.coverage.is_exhaustive


def test_three_calls_that_queue_for_a_lock_hold(wallets: CallRace) -> None:
    assert wallets(lambda: pay(wallets, "for update"), count=3).holds().verdict is Verdict.HOLDS


@pytest.mark.parametrize("prepare", [False, True], ids=["extended", "prepared"])
def test_one_statement_races_with_itself_between_its_execution_and_its_commit(wallets: CallRace, prepare: bool) -> None:
    with pytest.raises(NotHeld, match="schedule ABBA"):
        wallets(lambda: redeem(wallets, prepare)).holds()


def test_two_calls_that_both_succeed_are_told_with_their_schedule(wallets: CallRace) -> None:
    with pytest.raises(NotHeld, match="2 calls of 2 succeeded in schedule ABAB"):
        wallets(lambda: pay(wallets)).exactly_one_succeeds()


def test_coroutines_on_asyncpg_are_raced_in_one_loop(wallets: CallRace) -> None:
    import asyncpg

    async def pay_async() -> None:
        connection = await asyncpg.connect(wallets.url)
        try:
            async with connection.transaction():
                balance = await connection.fetchval("select balance from wallets where id = $1", 1)
                await connection.execute("insert into payments (wallet_id, amount) values ($1, $2)", 1, 10)
                await connection.execute("update wallets set balance = $1 where id = $2", balance - 10, 1)
        finally:
            await connection.close()

    with pytest.raises(NotHeld, match=r"(?s)read balance 100, not 90.*lost update"):
        wallets(pay_async).holds()
    assert asyncio.iscoroutinefunction(pay_async)


def test_a_counter_that_looks_like_a_key_is_not_taken_for_one(database: Target) -> None:
    """Both begin at 1, and the rows of both orders are alike but for the counter."""
    with closing(database.connect()) as connection:
        connection.execute(
            b"create table shop (n int); create table visits (id serial primary key); insert into shop values (0)"
        )
        connection.commit()

    def visit() -> None:
        with psycopg.connect(race.url) as connection:
            ((count,),) = connection.execute("select n from shop").fetchall()
            connection.execute("insert into visits default values")
            connection.execute("update shop set n = %s", (count + 1,))

    with CallRace(database, test_database=database.url.database) as race, pytest.raises(NotHeld, match="lost update"):
        race(visit).holds()
    with closing(database.connect()) as connection:
        assert connection.execute(b"select last_value, is_called from visits_id_seq").fetchall() == [(1, False)]


PAGES = """
create table pages (
    id int primary key, data jsonb not null, owner text, until timestamptz, seen_at timestamptz, held_by uuid, visit uuid
);
insert into pages values (1, '{"hits": 0}');
"""


def hit(race: CallRace, lock: str = "") -> None:
    with psycopg.connect(race.url) as connection:
        ((data,),) = connection.execute(f"select data from pages where id = 1 {lock}".encode()).fetchall()
        data = {"hits": data["hits"] + 1, "at": time.time()}
        connection.execute("update pages set data = %s, seen_at = now() where id = 1", (Jsonb(data),))


def book(race: CallRace, owner: str, until: str) -> None:
    with psycopg.connect(race.url, autocommit=True) as connection:
        connection.execute("update pages set owner = %s where id = 1", (owner,))
        connection.execute("update pages set until = %s where id = 1", (until,))


def assigned(race: CallRace, assign: str, owner: str) -> None:
    with psycopg.connect(race.url, autocommit=True) as connection:
        connection.execute("update pages set owner = %s where id = 1", (owner,))
        connection.execute(assign.encode(), (uuid5(NAMESPACE_DNS, owner),))


def test_what_differs_by_itself_hides_nothing_beside_it_and_is_said(database: Target) -> None:
    """A counter with a time in one document; a time that is a value, beside one of the clock."""
    with closing(database.connect()) as connection:
        connection.execute(PAGES.encode())
        connection.commit()
    with CallRace(database, test_database=database.url.database) as race:
        with pytest.raises(NotHeld, match=r"(?s)lost update.*not compared: .*pages\.data\.at \(differs by itself\)"):
            race(lambda: hit(race)).holds()
        sound = race(lambda: hit(race, "for update")).holds()
        assert sound.uncompared == ("pages.seen_at (times of the run)", "pages.data.at (differs by itself)")
        assign = "update pages set held_by = %s, visit = gen_random_uuid() where id = 1"
        with pytest.raises(NotHeld, match="schedule AABBBBAA"):
            race(*(partial(assigned, race, assign, owner) for owner in ("ann", "bob"))).holds()
        with pytest.raises(NotHeld, match="schedule AABBBBAA"):
            race(lambda: book(race, "ann", "2030-01-01"), lambda: book(race, "bob", "2031-01-01")).holds()


@dataclass(frozen=True)
class Seen:
    """What a call tells its client."""

    others: list[dict[str, int]]


def test_how_rows_lie_where_no_order_is_asked_for_gives_an_anomaly_no_other_name(database: Target) -> None:
    with closing(database.connect()) as connection:
        connection.execute(b"create table doctors (name text primary key, is_on_duty bool not null)")
        connection.execute(b"insert into doctors values ('alice', true), ('bob', true)")
        connection.commit()
    last = cycle(["alice", "bob", "bob"])

    def move() -> None:
        with psycopg.connect(database.text) as connection:
            connection.execute("update doctors set is_on_duty = is_on_duty where name = %s", (next(last),))

    def leave(name: str) -> None:
        with psycopg.connect(race.url) as connection:
            if len(connection.execute("select name from doctors where is_on_duty").fetchall()) > 1:
                connection.execute("update doctors set is_on_duty = false where name = %s", (name,))

    names: set[str] = set()
    for _ in range(3):
        next(last)
        with CallRace(database, test_database=database.url.database, setup=move) as race:
            finding = race(partial(leave, "alice"), partial(leave, "bob")).finding
            assert finding is not None
            names.add(finding.finding.anomaly)
    assert names == {"A5B"}


def test_answers_of_no_serial_order_are_told_apart_unless_they_are_strict(database: Target) -> None:
    """Both are told that they are the first, in a list within a dataclass; the rows are those of any order."""
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()

    def enter(number: int) -> Seen:
        with psycopg.connect(race.url, autocommit=True) as connection:
            ((count,),) = connection.execute("select count(*) from redeemed").fetchall()
            connection.execute("insert into redeemed values (%s)", (str(number),))
        return Seen([{"before": count}])

    with CallRace(database, test_database=database.url.database) as race:
        raced = race(lambda: enter(1), lambda: enter(2)).holds()
        assert "answers that no serial order gives, over rows that are right, in schedule AB" in raced.text
        race.strict_replies = True
        with pytest.raises(NotHeld, match="schedule ABBBAA"):
            race(lambda: enter(1), lambda: enter(2)).holds()
        assert race(object).uncompared == ("return of object: object (only its type)",)


@pytest.mark.parametrize("is_ordered", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_in_what_order_an_answer_lists_rows_counts_only_where_an_order_is_asked_for(
    database: Target, *, is_ordered: bool
) -> None:
    """Two calls turn pages over, each its own, and list all: rows lie in the order in which they were written."""
    with closing(database.connect()) as connection:
        connection.execute(b"create table pages (name text primary key, turned int not null default 0)")
        connection.execute(b"insert into pages values ('a'), ('b'), ('c')")
        connection.commit()
    query = f"select name from pages{' order by ctid' if is_ordered else ''}"

    def turn(name: str) -> dict[str, list[str]]:
        with psycopg.connect(race.url, autocommit=True) as connection:
            for _ in range(2):
                connection.execute("update pages set turned = turned + 1 where name = %s", (name,))
            return {"pages": [each for (each,) in connection.execute(query)]}

    with CallRace(database, test_database=database.url.database, preemptions=1) as race:
        raced = race(partial(turn, "a"), partial(turn, "b")).holds()
        assert ("answers that no serial order gives" in raced.text) is is_ordered


def test_a_function_that_gives_a_coroutine_is_awaited(wallets: CallRace) -> None:
    import asyncpg

    async def spend(amount: int) -> None:
        connection = await asyncpg.connect(wallets.url)
        balance = await connection.fetchval("select balance from wallets where id = 1")
        await connection.execute("update wallets set balance = $1 where id = 1", balance - amount)
        await connection.close()

    with pytest.raises(NotHeld, match="schedule A"):
        wallets(lambda: spend(10), lambda: spend(20)).holds()


def test_calls_that_pass_the_proxy_by_are_not_said_to_hold(database: Target, wallets: CallRace) -> None:
    def pay_past_it() -> None:
        with psycopg.connect(database.text) as connection:
            connection.execute("select balance from wallets").fetchall()

    with pytest.raises(NotHeld, match="no statement of A, B passed the proxy"):
        wallets(pay_past_it).holds()

    def fail_past_it() -> None:
        pay_past_it()
        raise RuntimeError("sold out")

    said = r"fail_past_it \(test_race_calls.py:\d+\) fails .*RuntimeError: sold out; no statement of A, B .*race.url"
    with pytest.raises(NotHeld, match=said):
        wallets(fail_past_it).holds()


def test_a_function_that_ends_the_program_has_failed_and_nothing_waits_for_it(wallets: CallRace) -> None:
    def leave() -> None:
        with psycopg.connect(wallets.url) as connection:
            connection.execute("select balance from wallets where id = 1 for update").fetchall()
            raise SystemExit(1)

    with pytest.raises(NotHeld, match="fails however it is called: SystemExit"):
        wallets(leave).holds()


def test_a_cursor_that_locks_what_it_fetches_waits_as_a_statement_does(wallets: CallRace) -> None:
    def pay_by_cursor() -> None:
        with psycopg.connect(wallets.url) as connection, connection.cursor("wallets_for_update") as cursor:
            cursor.execute("select balance from wallets where id = 1 for update")
            ((balance,),) = cursor.fetchall()
            connection.execute("update wallets set balance = %s where id = 1", (balance - 10,))

    assert wallets(pay_by_cursor).holds().found.coverage.waits


@pytest.mark.parametrize("level", ["set transaction isolation level serializable", "set default_transaction_isolation"])
def test_a_level_that_is_set_by_a_statement_is_the_level(wallets: CallRace, level: str) -> None:
    def pay_serializably() -> None:
        with psycopg.connect(wallets.url) as connection:
            if "default" in level:
                connection.execute("set default_transaction_isolation = 'serializable'")
                connection.commit()
            else:
                connection.execute(level)
            ((balance,),) = connection.execute("select balance from wallets where id = 1").fetchall()
            connection.execute("update wallets set balance = %s where id = 1", (balance - 10,))

    assert wallets(pay_serializably).holds().found.coverage.serialization_failures


def test_an_engine_with_one_pool_for_all_calls_is_led_to_the_proxy(database: Target, wallets: CallRace) -> None:
    engine = create_engine(database.text.replace("postgresql://", "postgresql+psycopg://"), pool_size=3)
    wallets.sqlalchemy(engine)

    def pay_by_engine() -> None:
        with engine.begin() as connection:
            balance = connection.execute(text("select balance from wallets where id = 1")).scalar_one()
            connection.execute(text("update wallets set balance = :left where id = 1"), {"left": balance - 10})

    with pytest.raises(NotHeld, match="lost update"):
        wallets(pay_by_engine).holds()
    nobody = create_engine("postgresql+psycopg://nobody@127.0.0.1/none")
    wallets.sqlalchemy(nobody)
    with pytest.raises(
        NotHeld, match=r"no statement of A, B passed .* led there by .*as its own user 'nobody': may that user"
    ):
        wallets(lambda: nobody.connect().close()).holds()


def test_rows_and_sequences_are_as_before_when_the_race_is_closed(database: Target) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
    before = rows_of(database)
    with CallRace(database, test_database=database.url.database) as race:
        race(lambda: pay(race))
    assert rows_of(database) == [(*before[0][:2], before[0][2] + 1)]
    with closing(database.connect()) as connection:
        left = connection.execute(b"select count(*) from pg_trigger where not tgisinternal").fetchall()
    assert left == [(0,)]


def test_a_query_of_what_must_never_be_is_asked_behind_each_schedule(database: Target) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
    never = {"no double redemption": "select coupon from redeemed group by coupon having count(*) > 1"}
    with (
        CallRace(database, never=never, test_database=database.url.database) as race,
        pytest.raises(NotHeld, match=r"violated  no double redemption  1 row\n  coupon\n  -+\n  X\n"),
    ):
        race(lambda: redeem(race, prepare=False)).holds()


def test_a_transaction_that_nobody_ends_is_rolled_back_and_in_nobodys_way(wallets: CallRace) -> None:
    kept: list[psycopg.Connection[Any]] = []

    def forget() -> None:
        kept.append(psycopg.connect(wallets.url))
        kept[-1].execute("update wallets set balance = 0 where id = 1")

    raced = wallets(forget)
    assert raced.verdict is not Verdict.HOLDS
    for connection in kept:
        connection.close()


def test_a_statement_that_no_call_asked_for_leaves_the_verdict_unknown(database: Target) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode() + SLOW_COMMIT)
        connection.commit()
    with (
        CallRace(database, test_database=database.url.database, schedules=20) as race,
        psycopg.connect(race.url, autocommit=True) as background,
    ):
        jobs: list[Thread] = []

        def log() -> None:
            with suppress(psycopg.Error):
                background.execute("insert into redeemed values ('logged')")

        def pay_and_log() -> None:
            with psycopg.connect(race.url) as connection:
                connection.execute("select balance from wallets where id = 1 for update")
                jobs.append(Thread(target=log))
                jobs[-1].start()

        raced = race(pay_and_log)
        with pytest.raises(NotHeld, match=r"nobody knows whether it holds: .*(background|at once)"):
            raced.holds()
        for job in jobs:
            job.join()


def test_a_strangers_transaction_that_stays_open_ends_the_search_unknown_and_is_named(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrity.race.rows.keeping.PATIENCE_SECONDS", 0.1)
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
    with (
        CallRace(database, declines=[NotEnough], test_database=database.url.database) as race,
        closing(database.connect(application_name="stranger")) as stranger,
    ):
        calls: list[int] = []

        def pay_beside() -> None:
            pay(race, "for update")
            calls.append(1)
            if len(calls) == 4:
                stranger.execute("begin; insert into redeemed values ('open')")

        raced = race(pay_beside)
        with pytest.raises(NotHeld, match=r"nobody knows whether it holds: .*still open.*stranger.*insert into redeemed"):
            raced.holds()
        stranger.rollback()
        race(lambda: pay(race, "for update")).holds()


@pytest.mark.parametrize("setup", ["", "update wallets set balance = 100"])
def test_what_another_client_writes_past_the_proxy_is_no_calls_and_leaves_the_verdict_unknown(
    database: Target, setup: str
) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
    with (
        CallRace(database, test_database=database.url.database, setup=setup) as race,
        psycopg.connect(database.text, autocommit=True) as stranger,
    ):
        calls: list[int] = []

        def pay_beside() -> None:
            pay(race, "for update")
            calls.append(1)
            if len(calls) % 5 == 0:
                stranger.execute("insert into redeemed values (%s)", (str(len(calls)),))

        raced = race(pay_beside)
        assert raced.verdict is Verdict.UNKNOWN
        with pytest.raises(NotHeld, match=r"(?s)nobody knows whether it holds: another client wrote to redeemed.*past"):
            raced.holds()
        race(lambda: pay(race, "for update")).holds()


@pytest.mark.parametrize("pattern", ["application_name=poll*", "*WHERE coupon = 'polled'*"])
def test_what_is_ignored_goes_through_and_is_counted(database: Target, pattern: str) -> None:
    """A job polls all the time, in transactions of its own; what a connection of it writes is undone and not compared."""
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
    with CallRace(database, test_database=database.url.database, ignore=[pattern], seconds_max=1) as race:
        is_over = Event()

        def poll() -> None:
            with psycopg.connect(race.url, application_name="poller", autocommit=True) as connection:
                while not is_over.wait(0.001):
                    with connection.transaction():
                        connection.execute("select from redeemed where coupon = 'polled'")
                        if "poll*" in pattern:
                            connection.execute("insert into redeemed values ('polled ' || random())")

        poller = Thread(target=poll)
        poller.start()
        try:
            raced = race(lambda: pay(race, "for update")).holds()
            assert re.search(rf"ignored: \d+ statements of {re.escape(pattern)}", raced.text)
        finally:
            is_over.set()
            poller.join()


def test_calls_that_share_a_pool_of_one_are_told_so_and_nothing_is_concluded(database: Target) -> None:
    from sqlalchemy.pool import QueuePool

    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
    with CallRace(database, test_database=database.url.database, seconds_max=0.5) as race:
        engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(race.url), poolclass=QueuePool,
                               pool_size=1, max_overflow=0)  # fmt: skip

        def read() -> None:
            with engine.begin() as connection:
                connection.execute(text("update wallets set balance = balance - 1 where id = 1"))

        with pytest.raises(NotHeld, match="waits for something else than its database"):
            race(read).holds()
        engine.dispose()


def test_a_database_of_others_is_not_touched_unless_it_is_declared(database: Target) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
    with pytest.raises(UnsafeDatabase, match="holds 3 tables that we did not make"), CallRace(database):
        pass


def test_a_result_of_which_nothing_was_asked_does_not_pass(wallets: CallRace) -> None:
    wallets(lambda: pay(wallets, "for update"))
    with pytest.raises(NotHeld, match="nothing asked of it"):
        wallets.check_asked()
