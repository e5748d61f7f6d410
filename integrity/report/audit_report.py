"""An audit's report: its events, collected. Every format is made from this, and none asks the database again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from integrity.events import AuditFinished, AuditStarted, Event, InvariantJudged
from integrity.exit_codes import Shortfall, exit_code_of, shortfalls_of
from integrity.numbers import counted
from integrity.report.terminal import name_database
from integrity.verdict import Severity, Verdict

NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found.

    Args:
        judged: in the order of the invariants' names, whatever order they were found out in.
        fails_on_empty: one that had nothing to judge is as good as unknown.
    """

    started: AuditStarted
    judged: Sequence[InvariantJudged]
    finished: AuditFinished
    fails_on_empty: bool = False

    def of(self, verdict: Verdict) -> list[InvariantJudged]:
        """Return those with the verdict."""
        return [judged for judged in self.judged if judged.finding.verdict is verdict]

    @property
    def worst_first(self) -> list[InvariantJudged]:
        """Return all, the violated before the unknown, and what holds last; within these in the order of their names."""
        return [*self.amiss, *self.of(Verdict.EMPTY), *self.of(Verdict.HOLDS)]

    @property
    def amiss(self) -> list[InvariantJudged]:
        """Return the violated, warnings behind errors, and the unknown: what somebody has to look at."""
        violated = sorted(self.of(Verdict.VIOLATED), key=lambda judged: judged.severity is Severity.WARNING)
        return [*violated, *self.of(Verdict.UNKNOWN)]

    @property
    def rest(self) -> str:
        """Return what is not amiss as a count, in one sentence; empty: the report's own sentence says all there is."""
        held, empty = len(self.of(Verdict.HOLDS)), self.of(Verdict.EMPTY)
        parts = [f"{held} {'holds' if held == 1 else 'hold'}"] if held and self.amiss else []
        parts += [f"{len(empty)} had nothing to judge ({_names(empty)})"] if empty else []
        return f"{', '.join(parts)}; --verbose lists each." if parts else ""

    @property
    def shortfalls(self) -> frozenset[Shortfall]:
        """Return what fell short: a violated warning counts as if it held."""
        return shortfalls_of(
            [
                Verdict.HOLDS
                if judged.finding.verdict is Verdict.VIOLATED and judged.severity is Severity.WARNING
                else judged.finding.verdict
                for judged in self.judged
            ],
            fails_on_empty=self.fails_on_empty,
        )

    @property
    def exit_code(self) -> int:
        """Return what a script is told."""
        return exit_code_of(self.shortfalls)

    @property
    def sentence(self) -> str:
        """Return one sentence on the data."""
        total = len(self.judged)
        violated, unknown = self.of(Verdict.VIOLATED), self.of(Verdict.UNKNOWN)
        held, empty = len(self.of(Verdict.HOLDS)), len(self.of(Verdict.EMPTY))
        if not total:
            return "No invariant was judged."
        if empty == total:
            who = "The only invariant had nothing" if total == 1 else f"None of {counted(total, 'invariant')} had anything"
            return f"{who} to judge: the tables are empty."
        if held == total:
            return "The only invariant holds." if total == 1 else f"All {counted(total, 'invariant')} hold."
        parts = []
        if violated:
            warnings = sum(judged.severity is Severity.WARNING for judged in violated)
            only = " (warnings only)" if warnings == len(violated) else ""
            parts.append(f"{len(violated)} of {counted(total, 'invariant')} violated{only}: {_names(violated)}")
        if unknown:
            of_total = "" if violated else f" of {counted(total, 'invariant')}"
            parts.append(f"{len(unknown)}{of_total} unknown: {_names(unknown)}")
        if not parts:
            return f"{held} {'holds' if held == 1 else 'hold'}, {empty} had nothing to judge."
        return "; ".join([*parts, *([f"{empty} had nothing to judge"] if empty else [])]) + "."

    @property
    def place(self) -> str:
        """Return the database, the moment and the kind of snapshot, in one line."""
        return f"{self.moment}: {self.started.consistency}"

    @property
    def moment(self) -> str:
        """Return the database and the moment."""
        return f"{name_database(self.started.target)} at {format_time(self.started.taken_at)}"

    @property
    def caution(self) -> str:
        """Return a line on what the role could do beside reading; empty: nothing that is known."""
        return f"caution: {self.started.caution}\n" if self.started.caution else ""


@dataclass(frozen=True, slots=True)
class Reported(Event):
    """The report is whole; what was found is not kept anywhere yet."""

    report: AuditReport


def collect(events: Iterable[Event], *, fails_on_empty: bool = False) -> AuditReport:
    """Return the report of a whole audit's events.

    Args:
        fails_on_empty: one that had nothing to judge is as good as unknown.
    """
    started: AuditStarted | None = None
    finished: AuditFinished | None = None
    judged: dict[str, InvariantJudged] = {}
    for event in events:
        if isinstance(event, AuditStarted):
            started = event
        elif isinstance(event, InvariantJudged):
            judged[event.finding.name] = event
        elif isinstance(event, AuditFinished):
            finished = event
    assert started is not None
    assert finished is not None
    return AuditReport(started, [judged[name] for name in started.invariants], finished, fails_on_empty)


def format_time(moment: datetime) -> str:
    """Return the moment to the second, with its zone."""
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z")


def _names(judged: Sequence[InvariantJudged]) -> str:
    names = [one.finding.name for one in judged]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
