"""Races of functions: any callables, on any driver, whose statements pass our proxy.

    with CallRace(target) as race:                    # connect to race.url in what is called
        race(lambda: pay(7), lambda: pay(7)).holds()

The database is changed while a schedule is played and put back after it, so it must be empty or declared a test database.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from integrity.database.namespace import guard
from integrity.engines.target import Target
from integrity.errors import UsageError, quote
from integrity.jobs.calls_alone import call_alone
from integrity.jobs.calls_raced import CallsRaced, CallsReplayed, NotHeld, digest_of, not_one
from integrity.operation import Statement
from integrity.race.finding.finding import read_finding
from integrity.race.finding.replay import Sought, replay, sought_of_finding, sought_of_token
from integrity.race.finding.token import MARK, Token, code_of, read_token
from integrity.race.gated.calls import Callers, typed
from integrity.race.gated.postgresql.stand import Stand, open_stand
from integrity.race.gated.postgresql.troupe import SECONDS_MAX
from integrity.race.judge.judge import EXPECTED, Judge, Judgement
from integrity.race.judge.oracles import Oracle
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.program import Check, Keys, Program, RaceHistory, on_keys
from integrity.race.program.trace import Return
from integrity.race.program.wire import StatementRefused
from integrity.race.search.explore import CUTS_MAX_SLOW, Budget, explore
from integrity.systems.stage import Stage

PREEMPTIONS = 2


class CallRace:
    """Races functions on one database; a context manager, which leaves its rows as they were.

    Args:
        target: the database as one reaches it without us.
        setup: makes the rows of a schedule, before each: SQL, or a function without arguments.
        never: queries by name, that return what must never be.
        declines: exceptions that are a business no.
        test_database: the name of a database that may be changed though it holds tables of others.
        preemptions, schedules: how far to search.
        seconds_max: that a call is given between two statements.
        ignore: statements that are no call's: "application_name=worker*" of connections, or a text's, "*from jobs*".
        strict_replies: answers that no serial order gives are findings too, where the rows are right.

    Raises:
        UnsafeDatabase: it holds tables that we did not make, and is not declared.
        UsageError: it is no PostgreSQL, or its rows cannot be put back.
        DatabaseError: the server is gone, or the role may not.
    """

    def __init__(
        self,
        target: Target | str,
        *,
        setup: str | Callable[[], object] = "",
        never: Mapping[str, str] | None = None,
        declines: Sequence[type[Exception]] = (),
        test_database: str | None = None,
        preemptions: int = PREEMPTIONS,
        schedules: int = 10_000,
        seconds_max: float = SECONDS_MAX,
        ignore: Sequence[str] = (),
        strict_replies: bool = False,
    ) -> None:
        self._target = Target.parse(target) if isinstance(target, str) else target
        self._setup = setup
        self._checks = tuple(Check(name, on_keys(query)) for name, query in (never or {}).items())
        self._test_database = test_database
        self._budget = Budget(preemptions=preemptions, schedules=schedules, cuts=CUTS_MAX_SLOW)
        self._seconds_max = seconds_max
        self._ignore = tuple(ignore)
        self.strict_replies = strict_replies
        self._callers = Callers(declines=tuple(declines))
        self._raced: list[CallsRaced | CallsReplayed] = []
        self._stack = ExitStack()
        self._opened: Stand | None = None
        self._led: list[str] = []
        self.mark = ""
        """Of a test whose body is raced; see CallFinding."""

    def __enter__(self) -> Self:
        if not self._target.engine.speaks_postgresql:
            raise UsageError(
                f"{self._target}: functions are raced through a proxy that speaks PostgreSQL's protocol",
                hint="Name a PostgreSQL database.",
            )
        guard(self._target, self._test_database)
        with self._stack as stack:
            stack.callback(self._callers.close)
            self._opened = stack.enter_context(
                open_stand(
                    self._target,
                    setup=self._make_rows if self._setup else dict,
                    ignore=self._ignore,
                    seconds_max=self._seconds_max,
                )
            )
            self._stack = stack.pop_all()
        self._check_untouched()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                for raced in (each for each in self._raced if isinstance(each, CallsRaced)):
                    raced.keep()
        finally:
            self._stack.close()

    @property
    def url(self) -> str:
        """The database as what is called must reach it."""
        return self._stand.target.text

    def sqlalchemy(self, engine: Any) -> None:
        """Lead an engine of SQLAlchemy's here, a sync or an async one, until the race is closed; its user stays its own."""
        from sqlalchemy import event

        own = getattr(engine, "sync_engine", engine)
        place = dict(zip(("host", "port", "database"), self._place, strict=True))

        def lead_here(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
            for name in ("dbname", "sslmode", "ssl"):
                parameters.pop(name, None)
            is_libpq = own.dialect.driver in ("psycopg", "psycopg2")
            parameters |= {"dbname" if is_libpq and name == "database" else name: each for name, each in place.items()}
            parameters |= {"sslmode": "disable"} if is_libpq else {"ssl": False} if own.dialect.driver == "asyncpg" else {}

        event.listen(own, "do_connect", lead_here)
        own.dispose()
        self._led.append(f"race.sqlalchemy, as its own user{_quoted(own.url.username)}")
        self._stack.callback(own.dispose)
        self._stack.callback(event.remove, own, "do_connect", lead_here)

    def django(self, alias: str = "default") -> None:
        """Lead a database of Django's settings here until the race is closed; each call gets a connection of its own.

        Its user stays its own.

        Raises:
            UsageError: a test's transaction is open there, which hides its rows from the calls.
        """
        connections = import_module("django.db").connections  # it is the caller's

        connection = connections[alias]
        if connection.in_atomic_block:
            raise UsageError(
                f"the connection {alias!r} is in a transaction, whose rows no other connection sees",
                hint="Let the test commit: TransactionTestCase, or @pytest.mark.django_db(transaction=True).",
            )
        settings = connection.settings_dict
        kept = {name: settings[name] for name in ("HOST", "PORT", "NAME", "CONN_MAX_AGE", "OPTIONS")}
        host, port, database = self._place
        connection.close()
        own = {name: each for name, each in kept["OPTIONS"].items() if not name.startswith("ssl")}
        led = {"HOST": host, "PORT": str(port), "NAME": database, "CONN_MAX_AGE": 0}
        settings |= {**led, "OPTIONS": {**own, "sslmode": "disable"}}
        self._callers.behind_each = connections.close_all
        self._led.append(f"race.django, as its own user{_quoted(settings['USER'])}")

        def lead_back() -> None:
            connections.close_all()
            settings.update(kept)

        self._stack.callback(lead_back)

    @property
    def _place(self) -> tuple[str, int, str]:
        url = self._stand.target.url
        return url.host or "", url.port or 0, url.database or ""

    @property
    def rows(self) -> str:
        """How each schedule gets the same rows, and what that costs."""
        return self._stand.rows

    def __call__(self, *functions: Callable[[], Any], count: int = 1) -> "CallsRaced":
        """Return what the orders of these calls come to.

        Args:
            functions: without arguments; one alone is called twice.
            count: how often each is called.
        """
        wanted = _wanted(functions, count)
        program = self._program(wanted)
        scheduler = self._stand.scheduler
        judge = Judge(scheduler, program)
        recording = _Recording(judge)
        alone = call_alone(scheduler, program)
        self._callers.opaque = set()
        self._stand.desk.texts.clear()
        found = alone.search(
            lambda: explore(scheduler, program, budget=self._budget, judge=recording, stops_at_first=False)
        )
        raced = CallsRaced(self._stand, program, judge, found, self._budget, recording.returns, recording.seen)
        raced.typed = tuple(map(typed, wanted))
        raced.opaque = frozenset(self._callers.opaque)
        raced.statements = self._stand.statements
        raced.led, raced.mark = tuple(self._led), self.mark
        self._raced.append(raced)
        return raced

    def replay(self, kept: str | Path, *functions: Callable[[], Any], count: int = 1) -> CallsReplayed:
        """Return what comes of one schedule that was found, and of no other.

        Args:
            kept: its token, or the file that it was saved in.
            functions: those that were raced, in that order.
            count: as it was then.

        Raises:
            UsageError: it is none, or of other functions.
        """
        program = self._program(_wanted(functions, count))
        token, sought = _read_kept(kept)
        names = [actor.operation for actor in program.actors]
        if token.digest != digest_of(names) or any(number >= len(names) for number, _ in token.kept):
            raise UsageError(
                f"{kept}: it is of {token.name}, and these calls are {', '.join(names)}",
                hint="Give the functions that were raced, in that order; or search again: race(pay, pay).holds()",
            )
        numbers = [number for number, _ in token.kept] or range(len(names))
        is_of_answers = code_of((Oracle.INVARIANT, EXPECTED)) in token.failures
        program = replace(
            program,
            actors=tuple(program.actors[number] for number in numbers),
            is_strict=self.strict_replies or sought.is_strict,
            expect=not_one if is_of_answers else program.expect,
        )
        call_alone(self._stand.scheduler, program)
        (again,) = replay(self._stand.scheduler, program, sought, times=1)
        replayed = CallsReplayed(again)
        self._raced.append(replayed)
        return replayed

    def _program(self, wanted: Sequence[Callable[[], Any]]) -> Program:
        known = {id(each): self._callers.actor(each) for each in wanted}  # one that comes twice is one actor twice
        return Program(
            tuple(known[id(each)] for each in wanted),
            _no_stage,
            checks=self._checks,
            is_captured=True,
            is_strict=self.strict_replies,
        )

    def check_asked(self) -> None:
        """Raise NotHeld where nothing was asked of what came out of a race: it would pass, whatever that is."""
        if any(not each.is_asked for each in self._raced):
            raise NotHeld("a race was searched and nothing asked of it: race(...).holds(), or another of its claims")

    @property
    def _stand(self) -> Stand:
        if self._opened is None:
            raise UsageError("the race is not open", hint="with CallRace(...) as race: race(pay, pay).holds()")
        return self._opened

    def _make_rows(self) -> Keys:
        if callable(self._setup):
            self._setup()
        elif self._setup:
            with closing(self._target.connect(application_name="integrity setup")) as connection:
                connection.execute(self._setup.encode())
        return {}

    def _check_untouched(self) -> None:
        """Raise where a query is refused, or returns rows before any call is made."""
        self._stand.scheduler.play(Program((), _no_stage, is_captured=True))
        for check in self._checks:
            query: Statement = check.violations({}, RaceHistory())
            try:
                (answer,) = self._stand.scheduler.ask([query])
            except StatementRefused as refused:
                raise UsageError(f"{check.name}: the database refuses it: {refused.reason}") from None
            if answer.rows:
                raise UsageError(
                    f"{check.name} is violated before any call is made: {dict(answer.rows[0])}",
                    hint="Mend these rows, or the setup, first: what a race finds is then what the calls did.",
                )


def _wanted(functions: Sequence[Callable[[], Any]], count: int) -> list[Callable[[], Any]]:
    """Return the calls that are to be raced.

    Raises:
        UsageError: there are none, or one cannot be called.
    """
    for number, each in enumerate(functions, start=1):
        if not callable(each):
            raise UsageError(
                f"race: argument {number} is no function: {quote(repr(each))}",
                hint="Give what makes the call, not what came of it: race(lambda: pay(7), lambda: pay(7))",
            )
    wanted = [each for each in functions for _ in range(count)]
    if len(wanted) < 2:
        wanted *= 2
    if not wanted:
        raise UsageError("no function was given to race", hint="race(pay, pay), or race(pay) for two calls of one.")
    return wanted


class _Recording:
    """Keeps what the calls returned in each schedule that is judged."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.returns: dict[str, Mapping[str, Return]] = {}
        self.seen: set[str] = set()

    def judge(self, run: PlayedSchedule) -> Judgement:
        self.returns[run.letters] = run.trace.returns
        self.seen |= {event.actor for event in run.trace.events}
        return self._judge.judge(run)


def _read_kept(kept: str | Path) -> tuple[Token, Sought]:
    """Return a token, and what is to be seen again: of a file all letters, of a token where they depart."""
    if isinstance(kept, str) and kept.startswith(MARK):
        token = read_token(kept)
        return token, sought_of_token(token)
    finding = read_finding(Path(kept))
    record = finding.scenario
    if record is None or not record.is_of_functions:
        raise UsageError(
            f"{kept}: it is no finding of functions", hint=f"Replay it by the command: integrity replay {kept}"
        )
    of = tuple((number, None) for number, _ in record.kept)
    sought = sought_of_finding(finding)
    return Token(record.name, record.digest, of, (), sought.failures), sought


def _quoted(user: str | None) -> str:
    return f" {user!r}" if user else ""


def _no_stage() -> Stage:
    return Stage((), {})
