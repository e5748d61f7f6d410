"""Races as text for people: a finding, what was tried against it, replays and mutations."""

from collections.abc import Mapping, Sequence
from typing import Any

from integrity.engines.known import find_engine
from integrity.numbers import counted
from integrity.race.finding.finding import Finding
from integrity.race.judge.checks import LeftOut
from integrity.race.judge.oracles import Oracle
from integrity.race.matrix import Group
from integrity.race.played import Played
from integrity.race.raced import Mutated, Replayed
from integrity.race.search.idle import Idle
from integrity.race.trial.mutate import Attempt
from integrity.report.layout import fit_timeline, fold, lay_command, lay_table
from integrity.report.values import row_table

_TOLD = {
    Oracle.SERIAL: "violated  serial equivalence: the rows and replies are those of no serial order",
    Oracle.SWALLOWED: "violated  a refusal told as an answer: {}",
    Oracle.FAILURE: "violated  a call fails that alone never does: {}",
    Oracle.DEADLOCK: "violated  a deadlock that nobody retries: {}",
    Oracle.REPLIES: "violated  answers no serial order gives, of {}; the rows are right",
}
_SILENT_NEXT = (
    "next: what connects by itself is not seen: let {} use the connection that it is given, or, on PostgreSQL, race it as "
    "it is through the proxy (docs/your-own-functions.md); what does nothing needs other arguments or rows."
)


def describe_played(played: Played) -> str:
    """Return how a schedule came out that was played and in which nothing went wrong."""
    if played.cut:
        return f"cut off, {played.cut}"
    if played.idle:
        return f"{played.idle.reason}; {played.course}"
    return f"{'no race, and calls fail as they do alone' if played.has_failed else 'nothing goes wrong'}; {played.course}"


def render_played(played: Played) -> str:
    """Return such a schedule, with what happened in it."""
    next_step = render_idle_next([played.idle]) if played.idle else []
    outcome = f"{played.letters}: {describe_played(played)}." if played.letters else f"{describe_played(played)}."
    return "\n".join([*fit_timeline(played.timeline), "", fold(outcome), *next_step])


def render_idle_next(idle: Sequence[Idle]) -> list[str]:
    """Return what to do where nothing was raced, in lines."""
    silent = list(dict.fromkeys(name for each in idle for name in each.silent))
    lines = [fold(_SILENT_NEXT.format(" and ".join(silent)))] if silent else []
    if all(each.silent for each in idle):
        return lines
    rows = list(dict.fromkeys(row for each in idle for row in each.rows))
    next_step = "next: give the race rows with which calls are accepted and change something"
    in_python = ': of a system in Python rows=["wallet: wallets(balance = 100)"] of system_of, or WantedRows'
    written = ", in the file of the operation, such as:" if rows else f"{in_python}."
    return [*lines, fold(f"{next_step}{written}"), *(f"  {row}" for row in rows)]


def left_out_of(groups: Sequence[Group]) -> tuple[LeftOut, ...]:
    """Return the invariants that could not be asked in the race, with the reasons."""
    found = (left_out for group in groups for each in group.searched for left_out in each.left_out)
    return tuple({(each.name, each.blamed): each for each in found}.values())


def render_left_out(left_out: Sequence[LeftOut]) -> str:
    """Return a line each, or nothing."""
    return "\n".join(line for each in left_out for line in _left_out_lines(each))


def _left_out_lines(left_out: LeftOut) -> list[str]:
    lines = [fold(f"not asked: {left_out.name}: {left_out.reason}")]
    if left_out.blamed:
        lines.append(fold(f"  {left_out.blamed} is in a table that it asks, so that nothing is called sound here"))
        lines.append(fold(f"  next: write rows of which {left_out.name} holds; the rows that it goes with, too"))
    return lines


def render_finding(finding: Finding) -> str:
    """Return a finding: what met, what was violated, the order, why no serial order gives it, what would prevent it."""
    engine = find_engine(finding.dialect)
    begun = finding.levels or (finding.isolation,)
    level = " and ".join(each.value for each in begun) if engine.has_levels else engine.title
    lines = [f"race  {finding.system}  {level}{'  bug ' + finding.bug if finding.bug else ''}"]
    if (scenario := finding.scenario) is not None:
        lines = [f"race  {scenario.shown}{f'  commit {scenario.commit}' if scenario.commit else ''}"]
    lines += [fold(f"  {each}", hanging="    ") for each in _calls(finding)]
    return "\n".join([*lines, *render_happening(finding), *render_cures(finding)])


def render_cures(finding: Finding) -> list[str]:
    """Return what was tried against it; nothing where nothing was."""
    if not finding.cures:
        return []
    lines = ["", "Tried on this very schedule (what helps first, and of that what costs least):"]
    for cure in finding.cures:
        lines.append(fold(f"  {_cure_kind(cure.kind)}{cure.name}: {cure.verdict}"))
        if cure.is_prevented and cure.sql and cure.sql not in cure.name:
            lines.append(fold(f"      {cure.sql};"))
    no_races = dict.fromkeys(each for cure in finding.cures for each in cure.no_races)
    lines += [
        fold(f"Not tried with {each}: they go wrong one after the other, too, which is no race.") for each in no_races
    ]
    levels = [cure for cure in finding.cures if cure.kind == "isolation"]
    if levels and not any(cure.is_prevented for cure in levels):
        tried = " and ".join(cure.name for cure in levels)
        lines.append(fold(f"No isolation level prevents it: {tried} {'was' if len(levels) == 1 else 'were'} tried."))
    return lines


def _calls(finding: Finding) -> list[str]:
    """Return a line for each call: its arguments and what it returned."""
    lines = []
    for letter, call in sorted(finding.calls.items()):
        arguments = ", ".join(f"{name}={value}" for name, value in call.values.items())
        called = call.operation if finding.scenario else f"{call.operation}({arguments})"
        lines.append(f"{letter} = {called} {_returned(call.returned)}")
    return lines


def render_happening(finding: Finding) -> list[str]:
    """Return the order, what was violated, and why no serial order gives it."""
    preemptions = counted(finding.preemptions, "preemption")
    lines = [
        f"  schedule {finding.schedule or '(one after the other)'}, {preemptions}",
        "",
        *fit_timeline(finding.timeline),
        "",
    ]
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
    schedule = finding.schedule or "(one after the other)"
    return "\n".join(
        [
            fold(f"answers apart  {' + '.join(finding.operations)}, schedule {schedule}"),
            *(fold(f"  {each}", hanging="    ") for each in _calls(finding)),
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
    unknown = dict.fromkeys(each.why_unknown for each in replays if each.why_unknown)
    lines += [f"  nobody knows whether that is a fix: {why}" for why in unknown]
    lines += [f"  it went wrong in another way: {name}" for name in replayed.others]
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
