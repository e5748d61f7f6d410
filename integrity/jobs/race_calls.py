"""Races of functions: any callables, on any driver, whose statements pass our proxy.

    with CallRace(target) as race:                    # connect to race.url in what is called
        race(lambda: pay(7), lambda: pay(7)).holds()

The database is changed while a schedule is played and put back after it, so it must be empty or declared a test database.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib import import_module
from string import ascii_uppercase
from types import TracebackType
from typing import Any, Self

from integrity.database.namespace import guard
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.numbers import counted
from integrity.operation import Ok, Statement
from integrity.race.gated.calls import Callers
from integrity.race.gated.postgresql.cast import SECONDS_MAX
from integrity.race.gated.postgresql.stand import Stand, open_stand
from integrity.race.judge.explain import explain
from integrity.race.judge.failures import DEADLOCK
from integrity.race.judge.judge import Judge, Judgement
from integrity.race.judge.timeline import timeline_of
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.program import Check, Keys, Program, RaceHistory, on_keys
from integrity.race.program.trace import Failed, Return
from integrity.race.program.wire import StatementRefused
from integrity.race.search.exploration import Coverage, Exploration
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.call_mutations import mutate_calls, try_cures
from integrity.race.trial.mutate import Mutation
from integrity.systems.stage import Stage
from integrity.verdict import Verdict

PREEMPTIONS = 2


class NotHeld(AssertionError):
    """What was claimed of a race is not so, or nobody knows whether it is."""


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
        self._budget = Budget(preemptions=preemptions, schedules=schedules)
        self._seconds_max = seconds_max
        self._ignore = tuple(ignore)
        self.strict_replies = strict_replies
        self._callers = Callers(declines=tuple(declines))
        self._raced: list[CallsRaced] = []
        self._stack = ExitStack()
        self._opened: Stand | None = None

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
                open_stand(self._target, setup=self._make_rows, ignore=self._ignore, seconds_max=self._seconds_max)
            )
            self._stack = stack.pop_all()
        self._check_untouched()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """The database as what is called must reach it."""
        return self._stand.target.text

    def sqlalchemy(self, engine: Any) -> None:
        """Lead an engine of SQLAlchemy's here, a sync or an async one, until the race is closed."""
        from sqlalchemy import event

        own = getattr(engine, "sync_engine", engine)
        place = dict(zip(("host", "port", "database"), self._place, strict=True))

        def lead_here(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
            for name in ("dbname", "sslmode", "ssl"):
                parameters.pop(name, None)
            is_libpq = own.dialect.driver in ("psycopg", "psycopg2")
            parameters |= {"dbname" if is_libpq and name == "database" else name: each for name, each in place.items()}
            parameters |= {"sslmode": "disable"} if is_libpq else {}

        event.listen(own, "do_connect", lead_here)
        own.dispose()
        self._stack.callback(own.dispose)
        self._stack.callback(event.remove, own, "do_connect", lead_here)

    def django(self, alias: str = "default") -> None:
        """Lead a database of Django's settings here until the race is closed; each call gets a connection of its own.

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
        kept = {name: settings[name] for name in ("HOST", "PORT", "NAME", "CONN_MAX_AGE")}
        host, port, database = self._place
        connection.close()
        settings |= {"HOST": host, "PORT": str(port), "NAME": database, "CONN_MAX_AGE": 0}
        self._callers.behind_each = connections.close_all

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
        wanted = [each for each in functions for _ in range(count)]
        if len(wanted) < 2:
            wanted *= 2
        if not wanted:
            raise UsageError("no function was given to race", hint="race(pay, pay), or race(pay) for two calls of one.")
        program = Program(
            tuple(self._callers.actor(each) for each in wanted),
            _no_stage,
            checks=self._checks,
            is_captured=True,
            is_strict=self.strict_replies,
        )
        judge = Judge(self._stand.scheduler, program)
        recording = _Recording(judge)
        self._callers.opaque = set()
        self._stand.desk.texts.clear()
        found = explore(self._stand.scheduler, program, budget=self._budget, judge=recording, stops_at_first=False)
        raced = CallsRaced(self._stand, program, judge, found, self._budget, recording.returns, recording.seen)
        raced.opaque = frozenset(self._callers.opaque)
        raced.statements = self._stand.statements
        self._raced.append(raced)
        return raced

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


@dataclass
class CallsRaced:
    """What came out of a race of functions: ask what must hold of it; what was not found out does not hold."""

    stand: Stand
    program: Program
    judge: Judge
    found: Exploration
    budget: Budget = field(default_factory=Budget)
    returns: dict[str, Mapping[str, Return]] = field(default_factory=dict)
    seen: Set[str] = frozenset()
    opaque: Set[str] = frozenset()
    statements: tuple[str, ...] = ()
    is_asked: bool = False

    @property
    def verdict(self) -> Verdict:
        """Of the data: it holds in all schedules of the bound; violated; unknown."""
        return self.found.verdict

    def holds(self) -> Self:
        """Raise NotHeld, with the schedule and why it is wrong, unless the data is right in every schedule.

        Right is what some order of the calls, one after the other, leaves behind, and what no `never` query returns.
        """
        self.is_asked = True
        if self.verdict is Verdict.VIOLATED:
            raise NotHeld(self.text)
        if self.verdict is not Verdict.HOLDS:
            raise NotHeld(f"nobody knows whether it holds: {'; '.join(self.found.coverage.cut)}\n{self._searched}")
        self._check_seen()
        return self

    def each_protection_is_needed(self) -> Self:
        """Raise NotHeld unless a race is found when a lock, an `on conflict` or the level is taken out of the statements.

        Each is taken out on the wire, alone; where nothing goes wrong without it, this test guards nothing by it.
        """
        self.holds()
        tried = self.mutations()
        if not tried:
            raise NotHeld("no statement has a protection that could be taken away: for update, on conflict, a level")
        if idle := [f"{each.protection} ({each.word})" for each in tried if each.word != "needed"]:
            raise NotHeld(f"nothing goes wrong without {'; '.join(idle)}")
        return self

    def mutations(self) -> list[Mutation]:
        """Return what each protection in the statements is good for: `needed`, `vacuous`, or `untried`."""
        return list(mutate_calls(self.stand, self.program, self.statements, budget=self.budget))

    def cures(self) -> dict[str, bool]:
        """Return what was tried against what was found, each with whether all orders are right with it."""
        return dict(try_cures(self.stand, self.program, self.statements, budget=self.budget))

    def exactly_one_succeeds(self) -> Self:
        """Raise NotHeld unless in every schedule one call returned and all others raised, or declined."""
        self.is_asked = True
        for letters, returns in self.returns.items():
            winners = [letter for letter, value in returns.items() if isinstance(value, Ok)]
            if len(winners) != 1:
                told = ", ".join(f"{letter} {_told(value)}" for letter, value in sorted(returns.items()))
                succeeded = f"{counted(len(winners), 'call')} of {len(returns)} succeeded in schedule {letters}"
                raise NotHeld(f"{succeeded}: {told}\n{self.text}")
        return self._known()

    def no_deadlock(self) -> Self:
        """Raise NotHeld if a call was refused as a deadlock's victim, whatever it made of that."""
        self.is_asked = True
        if self.found.coverage.deadlocks:
            raise NotHeld(f"{counted(self.found.coverage.deadlocks, 'deadlock')} in {self._searched}\n{self.text}")
        return self._known()

    def _check_seen(self) -> None:
        """Raise NotHeld where a call made no statement that we saw: its orders were not searched."""
        if unseen := [letter for letter in self.actors if letter not in self.seen]:
            raise NotHeld(
                f"nobody knows whether it holds: no statement of {', '.join(unseen)} passed the proxy; "
                f"let what is called connect to race.url, or lead its engine there: race.sqlalchemy(engine)"
            )

    @property
    def actors(self) -> str:
        """Their letters."""
        return ascii_uppercase[: len(self.program.actors)]

    def _known(self) -> Self:
        if self.verdict is Verdict.UNKNOWN:
            raise NotHeld(f"nobody knows whether it holds: {'; '.join(self.found.coverage.cut)}\n{self._searched}")
        self._check_seen()
        return self

    @property
    def uncompared(self) -> tuple[str, ...]:
        """What was compared with nothing, and why: columns, members of documents, parts of answers."""
        types = sorted(f"{each} (only its type)" for each in self.opaque)
        return (*self.judge.uncompared, *types)

    @property
    def text(self) -> str:
        """The first schedule that goes wrong, why it is wrong, and what was searched; else what was searched alone."""
        hits = (*self.found.hits, *self.found.apart)
        if not hits:
            return self._searched
        hit = hits[0]
        again = self.stand.scheduler.play(self.program, hit.run.letters)
        why = explain(Judge(self.stand.scheduler, self.program), again, alarms=hit.alarms)
        broken = [f"{alarm.name}: {dict(alarm.rows[0])}" for alarm in hit.alarms if alarm.rows]
        return "\n".join([f"schedule {hit.run.letters}", *timeline_of(again), *broken, *why.lines, self._searched])

    @property
    def _searched(self) -> str:
        coverage: Coverage = self.found.coverage
        return (
            f"{counted(coverage.played, 'schedule')} played, {coverage.spared} more known without playing, "
            f"{counted(coverage.waits, 'lock wait')}; {self.stand.rows}"
            f"{'; not compared: ' if self.uncompared else ''}{', '.join(self.uncompared)}{self._apart}"
        )

    @property
    def _apart(self) -> str:
        if not self.found.apart:
            return ""
        letters = self.found.apart[0].run.letters
        return f"; answers that no serial order gives, over rows that are right, in schedule {letters}: see strict_replies"


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


def _told(value: Return) -> str:
    match value:
        case Ok():
            return "succeeded"
        case Failed():
            return f"failed with {value.error}{' (deadlock)' if value.sqlstate == DEADLOCK else ''}"
    return f"declined ({value.reason})"


def _no_stage() -> Stage:
    return Stage((), {})
