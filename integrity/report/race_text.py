"""Races as text for people: the matrix, a finding, what was tried against it, replays and mutations."""

from collections.abc import Mapping, Sequence
from typing import Any

from integrity.engines.known import find_engine
from integrity.numbers import counted
from integrity.operation import Isolation
from integrity.race.finding.finding import Finding, names_of
from integrity.race.judge.checks import LeftOut
from integrity.race.judge.oracles import Oracle
from integrity.race.matrix import Group
from integrity.race.played import Played
from integrity.race.raced import Mutated, Replayed
from integrity.race.search.settings import RaceSettings
from integrity.race.trial.mutate import Attempt
from integrity.report.layout import fold, lay_command, lay_table
from integrity.report.values import row_table
from integrity.verdict import Verdict

_TOLD = {
    Oracle.SERIAL: "violated  serial equivalence: the rows and replies are those of no serial order",
    Oracle.SWALLOWED: "violated  a refusal told as an answer: {}",
    Oracle.FAILURE: "violated  a call fails that alone never does: {}",
    Oracle.DEADLOCK: "violated  a deadlock that nobody retries: {}",
    Oracle.REPLIES: "violated  answers no serial order gives, of {}; the rows are right",
}
_WORDS = {Verdict.HOLDS: "sound", Verdict.VIOLATED: "RACE", Verdict.UNKNOWN: "unknown"}


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
            remark = "; ".join(dict.fromkeys(remarks))
        rows.append(
            [
                " + ".join(group.names),
                _WORDS[group.verdict],
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
    return f"{table}\n\n{render_failing(groups)}{fold(sentence_of(groups, settings))}"


def render_failing(groups: Sequence[Group]) -> str:
    """Return of each call that failed in whatever schedule and with whatever arguments what it failed with, once."""
    failing: dict[str, str] = {}
    for coverage in (each.coverage for group in groups for each in group.searched):
        failing = {**coverage.failing, **failing}  # the likeliest arguments come first
    return "".join(f"{fold(line)}\n" for line in told_failing(failing)) + ("\n" if failing else "")


def told_failing(failing: Mapping[str, str]) -> list[str]:
    """Return such calls, a line each."""
    return [f"{call} fails however it is called: {error}" for call, error in failing.items()]


def describe_played(played: Played) -> str:
    """Return how a schedule came out that was played and in which nothing went wrong."""
    return f"cut off, {played.cut}" if played.cut else f"nothing goes wrong; {played.course}"


def render_played(played: Played) -> str:
    """Return such a schedule, with what happened in it."""
    return "\n".join([*played.timeline, "", fold(f"{played.letters}: {describe_played(played)}.")])


def left_out_of(groups: Sequence[Group]) -> tuple[LeftOut, ...]:
    """Return the invariants that could not be asked in the race, with the reasons."""
    return next((each.left_out for group in groups for each in group.searched), ())


def render_left_out(left_out: Sequence[LeftOut]) -> str:
    """Return a line each, or nothing."""
    return "\n".join(fold(f"not asked: {each.name}: {each.reason}") for each in left_out)


def sentence_of(groups: Sequence[Group], settings: RaceSettings) -> str:
    """Return the outcome in one sentence, with what it covers."""
    searched = [each for group in groups for each in group.searched]
    schedules = sum(each.coverage.played for each in searched)
    spared = sum(each.coverage.spared for each in searched)
    racy = sum(group.verdict is Verdict.VIOLATED for group in groups)
    unknown = sum(group.verdict is Verdict.UNKNOWN for group in groups)
    what = "pair" if all(len(group.names) == 2 for group in groups) else "group"
    count = counted(len(groups), what)
    covered = f"{counted(schedules, 'schedule')} played, {spared:,} known from others without playing"
    engine = find_engine(settings.dialect)
    met = set[Isolation]().union(*(each.coverage.levels for each in searched)) or {settings.isolation}
    levels = " and ".join(each.value for each in Isolation if each in met)
    level = f"at {levels}" if engine.has_levels else f"on {engine.title}"
    if racy:
        verdict = f"{racy} of {count} of operations can go wrong {level}"
    elif unknown:
        verdict = f"inconclusive {level}: {unknown} of {count} not searched to the bound"
    else:
        verdict = (
            f"sound {level}: no schedule of {count} with at most {counted(settings.preemptions, 'preemption')} goes wrong"
        )
    return f"{verdict}; {covered}."


def render_coverage(group: Group) -> str:
    """Return what the search of one group covered, a line a choice of arguments."""
    lines = []
    for each in group.searched:
        coverage = each.coverage
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
        lines.append(fold(f"{_WORDS[each.verdict]:<8} {'; '.join(each.calls)}", hanging=" " * 9))
        lines.append(fold(f"         {', '.join(parts)}", hanging=""))
    return "\n".join(lines)


def render_finding(finding: Finding) -> str:
    """Return a finding: what met, what was violated, the order, why no serial order gives it, what would prevent it."""
    engine = find_engine(finding.dialect)
    begun = finding.levels or (finding.isolation,)
    level = " and ".join(each.value for each in begun) if engine.has_levels else engine.title
    lines = [f"race  {finding.system}  {level}{'  bug ' + finding.bug if finding.bug else ''}"]
    if (scenario := finding.scenario) is not None:
        lines = [f"race  {scenario.shown}{f'  commit {scenario.commit}' if scenario.commit else ''}"]
    for letter, call in sorted(finding.calls.items()):
        arguments = ", ".join(f"{name}={value}" for name, value in call.values.items())
        called = call.operation if finding.scenario else f"{call.operation}({arguments})"
        lines.append(fold(f"  {letter} = {called} {_returned(call.returned)}", hanging="    "))
    lines += render_happening(finding)
    if finding.cures:
        lines += ["", "Tried on this very schedule (what helps first, and of that what costs least):"]
        for cure in finding.cures:
            lines.append(fold(f"  {_cure_kind(cure.kind)}{cure.name}: {cure.verdict}"))
            if cure.is_prevented and cure.sql and cure.sql not in cure.name:
                lines.append(fold(f"      {cure.sql};"))
        levels = [cure for cure in finding.cures if cure.kind == "isolation"]
        if levels and not any(cure.is_prevented for cure in levels):
            tried = " and ".join(cure.name for cure in levels)
            lines.append(fold(f"No isolation level prevents it: {tried} {'was' if len(levels) == 1 else 'were'} tried."))
    return "\n".join(lines)


def render_happening(finding: Finding) -> list[str]:
    """Return the order, what was violated, and why no serial order gives it."""
    preemptions = counted(finding.preemptions, "preemption")
    lines = [f"  schedule {finding.schedule or '(one after the other)'}, {preemptions}", "", *finding.timeline, ""]
    for alarm in finding.alarms:
        if alarm.oracle == "invariant":
            lines.append(f"violated  {alarm.name}  {counted(len(alarm.rows), 'row')}")
            headers, cells = row_table(alarm.rows[:3])
            lines.append(lay_table(cells, headers, indent="  "))
        else:
            lines.append(fold(_TOLD[alarm.oracle].format(alarm.name)))
    return [*lines, "", *map(fold, finding.explanation)]


def render_apart(finding: Finding, replay: str) -> str:
    """Return answers that are told apart: why no serial order gives them, and how they become a finding."""
    calls = [f"{letter} = {call.operation} {_returned(call.returned)}" for letter, call in sorted(finding.calls.items())]
    schedule = finding.schedule or "(one after the other)"
    return "\n".join(
        [
            fold(f"answers apart  {' + '.join(finding.operations)}, schedule {schedule}: {'; '.join(calls)}"),
            *(fold(f"  {line}") for line in finding.explanation),
            lay_command(replay, label="  replay: "),
            fold(
                "  hint: --strict-replies makes this a finding; an operation that may answer so says it: "
                "`-- may: decline none_left` in its file, Allowed(declines=...) in Python"
            ),
        ]
    )


def render_replays(replayed: Replayed) -> str:
    """Return how often a finding came back, and what is different from when it was made."""
    replays = replayed.replays
    back = sum(each.is_back for each in replays)
    times = counted(len(replays), "time")
    lines = [f"{replayed.name}: the failure came back {back} of {times}: {', '.join(replayed.failures)}"]
    for letters, course in dict.fromkeys((each.letters, each.course) for each in replays):
        lines.append(f"  {letters}: {course}")
    others = sorted({name for each in replays for name in each.others})
    lines += [f"  another failure came: {name}" for name in others]
    if replayed.differences:
        lines += ["not as it was when the finding was made:", *(f"  {difference}" for difference in replayed.differences)]
    return fold("\n".join(lines))


def render_mutations(mutated: Mutated) -> str:
    """Return the racy pairs, each protection with what it is good for, and in one line the constraints no race needed."""
    idle = [each for each in mutated.mutations if each.is_constraint and each.word == "vacuous"]
    lines = [
        f"{' + '.join(each.attempt.operations)}\n"
        f"  racy with all protections in place, so that it tells of none ({_alarms_of(each.attempt)})"
        for each in mutated.unguarded
    ]
    for each in mutated.mutations:
        if each in idle:
            continue
        words = {
            "redundant": f"redundant with {'; '.join(each.partners)}",
            "vacuous": "vacuous here, or the search is too weak: nothing went wrong, alone or with others taken away",
            "untried": "untried: the budget ended before",
        }
        lines.append(f"{each.protection}\n  {words.get(each.word, each.word)}")
        schedules = sum(attempt.schedules for attempt in each.attempts)
        match each.word:
            case "untried":
                pass
            case "vacuous":
                last = each.attempts[-1]
                choices = counted(last.choices, "choice of arguments was", "choices of arguments were")
                lines.append(f"  {counted(schedules, 'schedule')} of {counted(last.pairs, 'pair')} in {choices} searched")
            case _:
                last = each.attempts[-1]
                without = "without it" if each.word == "needed" else "without all of them"
                pair = " + ".join(last.operations)
                lines.append(f"  {without} {pair} goes wrong ({_alarms_of(last)}); {counted(schedules, 'schedule')}")
    if idle:
        names = ", ".join(each.protection.replace(": ", ".") for each in idle)
        lines += ["", f"No race here needs these constraints, which were taken away together: {names}"]
    return fold("\n".join(lines))


def _alarms_of(attempt: Attempt) -> str:
    alarms = attempt.hit.alarms if attempt.hit else ()
    return ", ".join(sorted({alarm.name or alarm.oracle.value for alarm in alarms}))


def _returned(returned: Mapping[str, Any]) -> str:
    (kind,) = [key for key in returned if key != "reason"]
    match kind:
        case "ok":
            return "→ ok"
        case "declined":
            return f"→ declined: {returned['declined']}"
        case "unavailable":
            return f"→ unavailable: {returned['unavailable']}"
        case "failed":
            return f"→ refused: {returned['failed']}" if returned["failed"] else f"→ failed: {returned['reason']}"
    return "→ did not end"


def _cure_kind(kind: str) -> str:
    words = {"isolation": "isolation level ", "unique index": "unique index on ", "parent lock": "lock on a row of "}
    return {"operation": "", "transaction": "", **words}.get(kind, f"{kind} ")
