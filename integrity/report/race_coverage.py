"""What races covered, as text for people: the matrix, the choices of arguments of one group, calls that never work.

A call that fails in every schedule was raced by nobody: it is told once, with how many choices of arguments it fails
with, however many there are.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from integrity.engines.known import find_engine
from integrity.numbers import counted
from integrity.operation import Isolation
from integrity.race.finding.finding import names_of
from integrity.race.matrix import Group
from integrity.race.search.idle import describe_idle
from integrity.race.search.settings import RaceSettings
from integrity.race.searcher import Searched
from integrity.report.layout import fold, lay_table
from integrity.report.race_text import render_idle_next
from integrity.verdict import Verdict

_WORDS = {Verdict.HOLDS: "sound", Verdict.VIOLATED: "RACE", Verdict.UNKNOWN: "unknown"}
_IDLE = "idle"  # of one choice of arguments: nothing was raced with it
_DATA_SOUND = "data sound"  # holds, and answers are apart: the word for both would be wrong of these


def render_matrix(groups: Sequence[Group], settings: RaceSettings) -> str:
    """Return a table of the groups with what was covered, and a sentence."""
    rows = []
    for group in groups:
        coverages = [each.coverage for each in group.searched]
        bound = min((coverage.bound_completed for coverage in coverages), default=-1)
        if group.finding:
            remark = f"{group.finding.schedule or 'serial'}: {', '.join(names_of(group.finding))}"
        else:
            remarks = [f"{group.apart.schedule}: answers apart"] if group.apart else []
            remarks += [cut for coverage in coverages for cut in coverage.cut]
            remarks += _reasons_of_idle(group.idle)
            remark = "; ".join(dict.fromkeys(remarks))
        rows.append(
            [
                " + ".join(group.names),
                _word(group.verdict, is_apart=group.apart is not None),
                sum(coverage.played for coverage in coverages),
                sum(coverage.spared for coverage in coverages),
                len(group.finished),
                "-" if bound < 0 or group.finding else bound,
                sum(coverage.waits for coverage in coverages),
                remark,
            ]
        )
    headers = ["operations", "verdict", "schedules", "spared", "choices", "preemptions", "lock waits", "remarks"]
    columns = len(headers) if any(row[-1] for row in rows) else len(headers) - 1
    table = lay_table(
        [row[:columns] for row in rows],
        headers[:columns],
        align=("left", "left", "right", "right", "right", "right", "right", "left")[:columns],
    )
    return f"{table}\n\n{_render_failing(groups)}{_render_idle(groups)}{fold(sentence_of(groups, settings))}"


def render_coverage(group: Group, settings: RaceSettings) -> str:
    """Return what the search of one group covered, and a sentence.

    The choices of arguments with which a call never works come first, as one; then the others, a paragraph each; last those
    with which nothing was raced, as one.
    """
    failing = [each for each in group.searched if each.coverage.failing]
    idle = [each for each in group.searched if each.coverage.idle]
    others = [each for each in group.searched if not each.coverage.failing and not each.coverage.idle]
    lines = [*(_failing_lines(failing) if failing else ()), *_other_lines(others)]
    lines += _idle_lines(idle) if idle else []
    told = f"{_render_failing([group])}{_render_idle([group])}{fold(sentence_of([group], settings))}"
    return "\n".join([*lines, "", told])


def told_failing(failing: Mapping[str, str]) -> list[str]:
    """Return the calls that fail with one choice of arguments in every schedule, a line each."""
    return [f"{call} fails however it is called: {error}" for call, error in failing.items()]


def sentence_of(groups: Sequence[Group], settings: RaceSettings) -> str:
    """Return the outcome in one sentence, with what it covers."""
    searched = [each for group in groups for each in group.searched]
    schedules = sum(each.coverage.played for each in searched)
    spared = sum(each.coverage.spared for each in searched)
    racy = sum(group.verdict is Verdict.VIOLATED for group in groups)
    unknown = [group for group in groups if group.verdict is Verdict.UNKNOWN]
    apart = sum(group.apart is not None for group in groups)
    what = "pair" if all(len(group.names) == 2 for group in groups) else "group"
    count = counted(len(groups), what)
    covered = f"{counted(schedules, 'schedule')} played, {spared:,} known from others without playing"
    level = _level_of(searched, settings)
    if racy:
        verdict = f"{racy} of {count} of operations can go wrong {level}"
    elif unknown:
        never = sum(any(each.coverage.failing for each in group.searched if each.choice == 0) for group in unknown)
        idle = sum(bool(group.idle) for group in unknown)
        unasked = sum(group.is_unasked and not group.idle for group in unknown)
        left = max(0, len(unknown) - never - idle - unasked)
        reasons = [f"a call of {never} of {count} never works"] if never else []
        reasons += [f"nothing was raced in {idle} of {count}"] if idle else []
        reasons += [f"an invariant was not asked in {unasked} of {count}"] if unasked else []
        reasons += [f"{left} of {count} not searched to the bound"] if left else []
        verdict = f"inconclusive {level}: {', '.join(reasons)}"
    else:
        bound = counted(settings.preemptions, "preemption")
        sound, wrong = (_DATA_SOUND, "leaves wrong data") if apart else ("sound", "goes wrong")
        verdict = f"{sound} {level}: no schedule of {count} with at most {bound} {wrong}"
    told = f"; answers apart in {apart} of {count}: those of no serial order" if apart else ""
    return f"{verdict}{told}; {covered}."


def _level_of(searched: Sequence[Searched], settings: RaceSettings) -> str:
    engine = find_engine(settings.dialect)
    met = set[Isolation]().union(*(each.coverage.levels for each in searched)) or {settings.isolation}
    levels = " and ".join(each.value for each in Isolation if each in met)
    return f"at {levels}" if engine.has_levels else f"on {engine.title}"


def _word(verdict: Verdict, *, is_apart: bool) -> str:
    return _DATA_SOUND if verdict is Verdict.HOLDS and is_apart else _WORDS[verdict]


def _other_lines(searched: Sequence[Searched]) -> Iterator[str]:
    """Yield what the searches covered, in one paragraph where that is the same: the calls of each in a line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for each in searched:
        word = _word(each.verdict, is_apart=each.apart is not None)
        alike.setdefault((word, _told_of(each)), []).append("; ".join(each.calls))
    for (word, told), calls in alike.items():
        each_of = f"each of the {len(calls)}: " if len(calls) > 1 else ""
        margin = " " * max(9, len(word) + 2)
        for begin, line in zip_longest([word], calls, fillvalue=""):
            yield fold(f"{begin:<{len(margin)}}{line}", hanging=margin)
        yield fold(f"{margin}{each_of}{told}", hanging="")


def _told_of(searched: Searched) -> str:
    """Return what the search of one choice of arguments covered."""
    coverage = searched.coverage
    bound = "every schedule there is" if coverage.is_exhaustive else counted(coverage.bound_completed, "preemption")
    pairs = counted(len(coverage.pairs), "pair")
    parts = [
        f"{counted(coverage.played, 'schedule')} ({coverage.spared:,} more known without playing)",
        f"complete to {bound}" if coverage.bound_completed >= 0 else "not even the serial orders were completed",
        f"{coverage.pairs_in_both_orders} of {pairs} of conflicting steps in both orders",
        counted(coverage.waits, "lock wait"),
    ]
    met = {
        "random schedule": coverage.random,
        "deadlock": coverage.deadlocks,
        "serialization failure": coverage.serialization_failures,
        "failed call": coverage.refusals,
    }
    parts += [counted(number, what) for what, number in met.items() if number]
    parts += [f"{coverage.abstentions} judged by invariants only"] if coverage.abstentions else []
    parts += coverage.cut
    return ", ".join(parts)


def _failing_lines(failing: Sequence[Searched]) -> list[str]:
    """Return what the choices with which a call never works have in common."""
    schedules = counted(sum(each.coverage.played for each in failing), "schedule")
    told = [f"{schedules}, in each of which a call fails", *(cut for each in failing for cut in each.coverage.cut)]
    first = failing[0]
    return _paragraph(_WORDS[first.verdict], first.calls, ", ".join(dict.fromkeys(told)), alike=_more(failing))


def _idle_lines(idle: Sequence[Searched]) -> list[str]:
    """Return what the choices with which nothing was raced have in common."""
    told = [*_reasons_of_idle(idle), *(cut for each in idle for cut in each.coverage.cut)]
    return _paragraph(_IDLE, idle[0].calls, ", ".join(dict.fromkeys(told)), alike=_more(idle))


def _more(choices: Sequence[Searched]) -> str:
    """Return how many more choices there are than the first."""
    more = len(choices) - 1
    return f", and {counted(more, 'choice of arguments', 'choices of arguments')} more" if more else ""


def _paragraph(word: str, calls: Sequence[str], told: str, *, alike: str = "") -> list[str]:
    margin = " " * max(9, len(word) + 2)
    return [
        fold(f"{word:<{len(margin) - 1}} {'; '.join(calls)}{alike}", hanging=margin),
        fold(f"{margin}{told}", hanging=""),
    ]


@dataclass(slots=True)
class _NeverWorking:
    """A call that fails in every schedule of some choices of arguments, with the first error of each SQLSTATE.

    Args:
        failed, choices: in so many choices of arguments, and of so many in which nothing else was found.
    """

    errors: dict[str, str] = field(default_factory=dict)
    failed: int = 0
    choices: int = 0

    def lines(self, call: str) -> Iterator[str]:
        how = "however it is called" if self.failed == self.choices else f"with {self.failed} of {self.choices} choices"
        yield f"{call} fails {how}: {'; or '.join(self.errors.values())}"
        choices = counted(self.failed, "choice of arguments", "choices of arguments")
        yield f"  in every schedule of {choices}, also alone: it was not raced"


def _render_failing(groups: Sequence[Group]) -> str:
    """Return of each call that never works what it fails with, once, and what to do about it."""
    found: dict[str, _NeverWorking] = {}
    for group in groups:
        coverages = [each.coverage for each in group.searched if each.finding is None]
        for call in dict.fromkeys(call for coverage in coverages for call in coverage.failing):
            never = found.setdefault(call, _NeverWorking())
            never.choices += len(coverages)
            for error in (coverage.failing[call] for coverage in coverages if call in coverage.failing):
                never.failed += 1
                never.errors.setdefault(error.partition(" ")[0], error)
    if not found:
        return ""
    named = "with" if len(groups) == 1 else "with its name and"
    next_step = f"next: mend it; the same command {named} --schedule A shows each step"
    lines = [line for call, each in found.items() for line in each.lines(call)]
    return "\n".join(map(fold, [*lines, next_step])) + "\n\n"


def _reasons_of_idle(idle: Sequence[Searched]) -> list[str]:
    """Return why nothing was raced with some choices, each reason once, with the schedules of all that have it."""
    schedules: Counter[str] = Counter()
    for each in idle:
        if each.coverage.idle:
            schedules[each.coverage.idle.what] += each.coverage.idle.schedules
    return [describe_idle(what, count) for what, count in schedules.items()]


def _render_idle(groups: Sequence[Group]) -> str:
    """Return of groups in which nothing was raced why, and which rows would change that."""
    idle = [each for group in groups for each in group.idle]
    if not idle:
        return ""
    next_step = render_idle_next([each.coverage.idle for each in idle if each.coverage.idle])
    lines = [fold(f"{each[0].upper()}{each[1:]}.") for each in _reasons_of_idle(idle)]
    return "\n".join([*lines, *next_step]) + "\n\n"
