"""From a hit to a finding: the race is shrunk, played once more, and written down."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from string import ascii_uppercase

from integrity.engines.values import json_of
from integrity.race.finding.finding import (
    AlarmRecord,
    CallRecord,
    Finding,
    events_of,
    hash_tables,
    plain_row,
    return_record,
)
from integrity.race.judge.contest import Contest, Ground
from integrity.race.judge.explain import explain
from integrity.race.judge.judge import Judge, Judgement
from integrity.race.judge.timeline import timeline_of
from integrity.race.play.deadline import BudgetOver
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.planned_calls import PlannedCall, make_world
from integrity.race.program.program import Program
from integrity.race.program.schedule import count_preemptions, shorten
from integrity.race.search.exploration import Hit
from integrity.race.search.shrink import TRIES_MAX, Variation, find_one_preemption, shrink


def make_finding(scheduler: Scheduler, ground: Ground, contest: Contest, hit: Hit, *, seed: int) -> Finding:
    """Return the finding that a hit is, with the fewest calls and preemptions, and these as early as may be.

    Where the deadline comes first, it is as small as it was by then, and told whole.

    Raises:
        DatabaseError: the server is gone.
    """

    def rebuild(calls: Sequence[PlannedCall]) -> Program:
        return contest.part(calls).program()

    found = None
    with suppress(BudgetOver):
        found = find_one_preemption(scheduler, contest.program(), hit)
    if found is None:
        variation = Variation(contest.calls, contest.operations, make_world(ground.keys), rebuild)
        shrunk = shrink(scheduler, contest.program(), hit, variation=variation, runs_max=TRIES_MAX, seed=seed)
    else:
        shrunk = replace(found, calls=contest.calls)
    return finding_of_run(
        scheduler,
        contest.part(shrunk.calls),
        shrunk.run,
        shrunk.judgement,
        seed=seed,
        played=hit.schedules,
        seconds=hit.seconds,
    )


def finding_of_run(
    scheduler: Scheduler,
    contest: Contest,
    run: PlayedSchedule,
    judgement: Judgement,
    *,
    seed: int,
    played: int = 1,
    seconds: float = 0,
) -> Finding:
    """Return what is written down of a run that went wrong.

    Args:
        played, seconds: of the search, until it was found.

    Raises:
        DatabaseError: the server is gone.
    """
    calls = {
        letter: CallRecord(
            operation=call.operation,
            arguments={name: json_of(value) for name, value in call.arguments.items()},
            returned=return_record(run.trace.returns.get(letter)),
        )
        for letter, call in zip(ascii_uppercase, contest.calls, strict=False)
    }
    found = finding_of_program(
        scheduler,
        contest.program(),
        run,
        judgement,
        system=contest.system.name,
        calls=calls,
        seed=seed,
        played=played,
        seconds=seconds,
    )
    return found.model_copy(
        update={
            "reference": contest.system.path,
            "raced": contest.system.raced,
            "bug": contest.bug.name if contest.bug else None,
            "tables": hash_tables(contest.system.metadata, dropped=contest.dropped),
        }
    )


def finding_of_program(
    scheduler: Scheduler,
    program: Program,
    run: PlayedSchedule,
    judgement: Judgement,
    *,
    system: str,
    calls: Mapping[str, CallRecord],
    seed: int,
    played: int,
    seconds: float,
) -> Finding:
    """Return the same of a run of any program.

    Args:
        system: what was raced is called so.

    Raises:
        DatabaseError: the server is gone.
    """
    with scheduler.deadline.lifted():
        explanation = explain(Judge(scheduler, program), run, alarms=judgement.alarms)
    levels = tuple(dict.fromkeys(event.level for event in run.trace.events))
    return Finding(
        system=system,
        bug=None,
        isolation=program.isolation,
        levels=levels if levels != (program.isolation,) else (),
        dialect=scheduler.dialect,
        seed=seed,
        schedule=shorten(run.choices),
        letters=run.letters,
        preemptions=count_preemptions(run.choices),
        alarms=tuple(
            AlarmRecord(
                oracle=alarm.oracle,
                name=alarm.name,
                rows=tuple(plain_row(row) for row in alarm.rows),
                is_serial=alarm.is_serial,
            )
            for alarm in judgement.alarms
        ),
        calls=calls,
        keys=plain_row(run.keys),
        events=events_of(run.trace),
        tables={},
        schedules_played=played,
        seconds=seconds,
        anomaly=explanation.anomaly.code,
        explanation=tuple(explanation.lines),
        timeline=tuple(timeline_of(run, scheduler.dialect)),
    )
