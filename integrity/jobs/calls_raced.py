"""What came out of a race of functions: ask what must hold of it; what was not found out does not hold.

What goes wrong is made as small as may be when somebody asks for it. It can be kept: as a file, or in a test as a token.
"""

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Self

from sqlalchemy import MetaData

from integrity.errors import UsageError
from integrity.http.secrets import hidden_in
from integrity.numbers import counted
from integrity.operation import Ok, Row
from integrity.proxy.tls import hint_of
from integrity.race.finding.discovery import finding_of_program
from integrity.race.finding.finding import CallRecord, Finding, return_record, write_finding
from integrity.race.finding.replay import Replay
from integrity.race.finding.scenario_record import ScenarioRecord
from integrity.race.finding.token import token_of
from integrity.race.gated.postgresql.stand import Stand
from integrity.race.judge.failures import DEADLOCK
from integrity.race.judge.judge import Judge
from integrity.race.play.again import order_of
from integrity.race.program.program import Program
from integrity.race.program.statements import tables_of
from integrity.race.program.trace import Failed, Return
from integrity.race.search.exploration import Coverage, Exploration, Hit
from integrity.race.search.explore import Budget
from integrity.race.search.least import Cast, find_least
from integrity.race.trial.call_cures import IN_NO_TRANSACTION, find_by_hand, try_call_cures
from integrity.race.trial.call_mutations import mutate_calls
from integrity.race.trial.cure import Failing, NotBack
from integrity.race.trial.mutate import Mutation
from integrity.report.layout import fold
from integrity.report.race_text import render_happening
from integrity.systems.reflect import reflect
from integrity.verdict import Verdict

_CURES = {"isolation": "isolation level ", "parent lock": "lock on a row of "}
KEPT = "keep it: "
"""Before a line that is to be pasted, and never folded."""


class NotHeld(AssertionError):
    """What was claimed of a race is not so, or nobody knows whether it is."""


@dataclass(frozen=True, slots=True)
class CallFinding:
    """A schedule of calls that goes wrong, as small as may be.

    Args:
        typed: the functions that were raced, as somebody types them.
        mark: that the test bears whose body was raced, without what ends it: `@pytest.mark.race(count=3`; empty: none.
    """

    finding: Finding
    typed: tuple[str, ...]
    mark: str = ""

    @property
    def token(self) -> str:
        """One line that plays it again: `race.replay(token, pay, pay).holds()`."""
        assert self.finding.scenario is not None
        return self.finding.scenario.token

    @property
    def schedule(self) -> str:
        """Its letters."""
        return self.finding.letters

    def save(self, path: Path | str) -> Path:
        """Write it as a file, which `race.replay` takes, too.

        Raises:
            UsageError: it cannot be written.
        """
        write_finding(self.finding, Path(path))
        return Path(path)

    @property
    def text(self) -> str:
        """The schedule, why it is wrong, how it is kept, and how to ask what prevents it."""
        assert self.finding.scenario is not None
        calls = ", ".join(self.typed)
        _, *happening = render_happening(self.finding)
        said = [f"schedule {self.finding.letters}", *happening, ""]
        if self.mark and self.token:
            return "\n".join([*said, f'{KEPT}{self.mark}replay="{self.token}")'])
        kept = f'race.replay("{self.token}", {calls}).holds()' if self.token else "race(...).finding.save(PATH)"
        return "\n".join([*said, f"{KEPT}{kept}", f"what prevents it: print(race({calls}).cures())"])


@dataclass
class CallsRaced:
    """See the module."""

    stand: Stand
    program: Program
    judge: Judge
    found: Exploration
    budget: Budget = field(default_factory=Budget)
    returns: dict[str, Mapping[str, Return]] = field(default_factory=dict)
    seen: Set[str] = frozenset()
    opaque: Set[str] = frozenset()
    statements: tuple[str, ...] = ()
    led: tuple[str, ...] = ()
    mark: str = ""
    typed: tuple[str, ...] = ()
    is_asked: bool = False
    _kept: CallFinding | None = None

    @property
    def verdict(self) -> Verdict:
        """Of the data: it holds in all schedules of the bound; violated; unknown."""
        return self.found.verdict

    @property
    def finding(self) -> CallFinding | None:
        """The first schedule that goes wrong; None: none does."""
        hits = (*self.found.hits, *self.found.apart)
        if self._kept is None and hits:
            self._kept = CallFinding(keep_calls(self.stand, self.program, hits[0]), self.typed, self.mark)
        return self._kept

    def keep(self) -> None:
        """Look into what was found, while the race is open: it may be asked for later."""
        _ = self.finding

    def holds(self) -> Self:
        """Raise NotHeld, with the schedule and why it is wrong, unless the data is right in every schedule.

        Right is what some order of the calls, one after the other, leaves behind, and what no `never` query returns.
        """
        self.is_asked = True
        if self.verdict is Verdict.VIOLATED:
            raise NotHeld(self.text)
        return self._known()

    def each_protection_is_needed(self) -> Self:
        """Raise NotHeld unless a race is found when a lock, an `on conflict` or the level is taken out of the statements.

        Each is taken out on the wire, alone; where nothing goes wrong without it, this test guards nothing by it.
        """
        self.holds()
        tried = self.mutations()
        if not tried:
            raise NotHeld("no statement has a protection that could be taken away: for update, on conflict, a level")
        if idle := [_idle(each) for each in tried if each.word != "needed"]:
            raise NotHeld(f"nothing goes wrong without {'; '.join(idle)}")
        return self

    def mutations(self) -> list[Mutation]:
        """Return what each protection in the statements is good for: `needed`, `redundant`, `vacuous`, or `untried`."""
        return list(mutate_calls(self.stand, self.program, self.statements, budget=self.budget))

    def cures(self) -> "CuresTried":
        """Return what was tried against what was found, each with whether all orders are right with it."""
        if not self.found.hits:
            return CuresTried()
        first = self.found.hits[0]
        failing = Failing(first.run.letters, first.fingerprint, order_of(first.run.trace.events))
        looked = list(dict.fromkeys(event.sql for event in first.run.trace.events))
        try:
            cures = try_call_cures(
                self.stand, self.program, failing, self.statements, metadata=self._tables(looked), search=self.budget
            )
            tried = list(cures)
        except NotBack:
            return CuresTried()
        by_hand = dict(find_by_hand(looked, self._tables(looked), dialect=self.stand.scheduler.dialect))
        named: dict[str, bool] = {}
        for each in tried:
            name = f"{_CURES.get(each.kind, '')}{each.name}"
            if each.story == IN_NO_TRANSACTION:
                by_hand[f"{name}, and both in one transaction with what is written"] = each.sql
            else:
                named[name] = each.is_whole
        return CuresTried(named, by_hand=by_hand)

    def _tables(self, looked: Sequence[str]) -> MetaData:
        """Return the tables that statements name, as the database has them while no call runs."""
        tables = {name for sql in looked for name in tables_of(sql)}
        schemas = sorted({name.rpartition(".")[0] for name in tables})
        try:
            return reflect(self.stand.direct, schemas)
        except UsageError:  # none of theirs is there then: there is nothing to make an index on, or to lock
            return MetaData()

    def exactly_one_succeeds(self) -> Self:
        """Raise NotHeld unless in every schedule one call returned and all others raised, or declined."""
        self.is_asked = True
        for letters, returns in self.returns.items():
            if not_one(returns):
                self._kept = self._kept or self._keep_answers(letters)
                succeeded, told = _succeeded(returns)
                raise NotHeld(f"{fold(f'{succeeded} in schedule {letters}: {told}')}\n{self.text}")
        return self._known()

    def no_deadlock(self) -> Self:
        """Raise NotHeld if a call was refused as a deadlock's victim, whatever it made of that."""
        self.is_asked = True
        if self.found.coverage.deadlocks:
            raise NotHeld(f"{counted(self.found.coverage.deadlocks, 'deadlock')} in these schedules\n{self.text}")
        return self._known()

    @property
    def uncompared(self) -> tuple[str, ...]:
        """What was compared with nothing, and why: columns, members of documents, parts of answers."""
        types = sorted(f"{each} (only its type)" for each in self.opaque)
        return (*self.judge.uncompared, *types)

    @property
    def actors(self) -> str:
        """Their letters."""
        return ascii_uppercase[: len(self.program.actors)]

    @property
    def text(self) -> str:
        """The first schedule that goes wrong, why it is wrong, and what was searched; else what was searched alone."""
        return self._searched if self.finding is None else f"{self.finding.text}\n{self._searched}"

    @property
    def _unseen(self) -> list[str]:
        """That calls made no statement that we saw, as a reason; none: all did."""
        unseen = [letter for letter in self.actors if letter not in self.seen]
        if not unseen or not self.found.coverage.played:
            return []
        none = f"no statement of {', '.join(unseen)} passed the proxy"
        if hint := hint_of(self.stand.turned_away):
            return [f"{none}: {hint}"]
        if self.led:
            return [
                f"{none}, though connections are led there by {' and '.join(self.led)}: may that user log in on the "
                "race's server, and do the calls use what is led? An engine with a creator of its own is not"
            ]
        return [
            f"{none}: let what is called connect to race.url, lead its engine there with race.sqlalchemy(engine), "
            "or mark the test race, for DATABASE_URL"
        ]

    def _known(self) -> Self:
        """Raise NotHeld where nobody knows, as where a call made no statement that we saw: its orders were not searched."""
        reasons = [*(self.found.coverage.reasons if self.verdict is Verdict.UNKNOWN else ()), *self._unseen]
        if reasons or self.verdict is Verdict.UNKNOWN:
            raise NotHeld("\n".join([fold(f"nobody knows whether it holds: {'; '.join(reasons)}"), self._searched]))
        return self

    def _keep_answers(self, letters: str) -> CallFinding:
        """Return the finding of a schedule in which none of the calls succeeds, or several."""
        program = replace(self.program, expect=not_one)
        run = self.stand.scheduler.play(program, letters)
        judgement = Judge(self.stand.scheduler, program).judge(run)
        hit = Hit(run, judgement, 1, 0.0, is_repeatable=True)
        return CallFinding(keep_calls(self.stand, program, hit), self.typed, self.mark)

    @property
    def _searched(self) -> str:
        coverage: Coverage = self.found.coverage
        told = (
            f"{counted(coverage.played, 'schedule')} played, {coverage.spared} more known without playing, "
            f"{counted(coverage.waits, 'lock wait')}; {self.stand.rows}"
            f"{'; not compared: ' if self.uncompared else ''}{', '.join(self.uncompared)}{self._apart}"
        )
        return fold(told)

    @property
    def _apart(self) -> str:
        if not self.found.apart:
            return ""
        letters = self.found.apart[0].run.letters
        return f"; answers that no serial order gives, over rows that are right, in schedule {letters}: see strict_replies"


class CuresTried(dict[str, bool]):
    """What was tried, each with whether all orders are right with it.

    Args:
        by_hand: what may help and was not tried, as it changes the caller's tables or transactions, with its statement.
    """

    def __init__(self, tried: Mapping[str, bool] | None = None, *, by_hand: Mapping[str, str] | None = None) -> None:
        super().__init__(tried or {})
        self.by_hand = dict(by_hand or {})

    def __str__(self) -> str:
        """Each on a line of its own."""
        words = {True: "all orders are right with it", False: "not all orders are right with it"}
        lines = [f"{name}: {words[is_whole]}" for name, is_whole in self.items()] or ["nothing was tried"]
        if self.by_hand:
            lines.append("not tried, as neither your tables nor your transactions are changed; by hand:")
            lines += [f"  {name}: {' '.join(sql.split())}" for name, sql in self.by_hand.items()]
        return "\n".join(lines)


@dataclass
class CallsReplayed:
    """What came of one schedule of functions that was played again."""

    replay: Replay
    is_asked: bool = False

    @property
    def is_back(self) -> bool:
        """It went wrong as it did."""
        return self.replay.is_back

    def holds(self) -> Self:
        """Raise NotHeld, with what happened, if it went wrong as it did, or otherwise, or was not played to its end."""
        self.is_asked = True
        if self.replay.why_unknown:
            raise NotHeld(f"nobody knows whether it holds: {self.replay.why_unknown}")
        if wrong := (*self.replay.names, *self.replay.others):
            raise NotHeld("\n".join([f"schedule {self.replay.letters}: {', '.join(wrong)}", *self.replay.timeline]))
        return self


def keep_calls(stand: Stand, program: Program, hit: Hit) -> Finding:
    """Return the finding that a hit is."""

    def make(cast: Cast) -> Program:
        actors = tuple(program.actors[number] for number, _ in cast)
        return replace(program, actors=actors, standing=program.standing.of_part())

    whole: Cast = tuple((number, ()) for number in range(len(program.actors)))
    least = find_least(stand.scheduler, program, hit, cast=whole, make=make)
    returns = least.run.trace.returns
    calls = {
        letter: CallRecord(operation=actor.operation, arguments={}, returned=return_record(returns.get(letter)))
        for letter, actor in zip(ascii_uppercase, least.program.actors, strict=False)
    }
    finding = finding_of_program(
        stand.scheduler,
        least.program,
        least.run,
        least.judgement,
        system="calls",
        calls=calls,
        seed=0,
        played=hit.schedules,
        seconds=hit.seconds,
    )
    names = [actor.operation for actor in program.actors]
    name, digest = "-".join(names), digest_of(names)
    token = str(token_of(name, digest, least, whole))
    record = ScenarioRecord(name=name, digest=digest, token=token, kept=least.cast, given={"calls": names})
    shown = Finding.model_validate(hidden_in(finding.model_dump(mode="json"), frozenset()))
    return shown.model_copy(update={"scenario": record})


def digest_of(names: Sequence[str]) -> str:
    """Return what calls are known by: their names, in order."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]


def _idle(tried: Mutation) -> str:
    """Return a protection that is not needed, with its word, and with what guards the same."""
    same = f": {' and '.join(tried.partners)} guards the same" if tried.attempts and tried.partners else ""
    return f"{tried.protection} ({tried.word}{same})"


def not_one(returns: Mapping[str, Return]) -> Sequence[Row]:
    """Return what is wrong where not exactly one call succeeds, as a row; none: one does."""
    if sum(isinstance(value, Ok) for value in returns.values()) == 1:
        return ()
    succeeded, told = _succeeded(returns)
    return ({"reason": f"{succeeded}: {told}"},)


def _succeeded(returns: Mapping[str, Return]) -> tuple[str, str]:
    """Return how many calls succeeded, and how each came out."""
    count = sum(isinstance(value, Ok) for value in returns.values())
    told = ", ".join(f"{letter} {_told(value)}" for letter, value in sorted(returns.items()))
    return f"{counted(count, 'call')} of {len(returns)} succeeded", told


def _told(value: Return) -> str:
    match value:
        case Ok():
            return "succeeded"
        case Failed():
            return f"failed with {value.error}{' (deadlock)' if value.sqlstate == DEADLOCK else ''}"
    return f"declined ({value.reason})"
