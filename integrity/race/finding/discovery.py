"""From a hit to a finding: the race is shrunk, played once more, and written down."""

from collections.abc import Sequence
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
from integrity.race.judge.explain import explain, timeline_of
from integrity.race.judge.judge import Judge, Judgement
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Program
from integrity.race.program.programs import PlannedCall, make_world
from integrity.race.program.schedule import count_preemptions, shorten
from integrity.race.search.explore import Hit
from integrity.race.search.shrink import Shrunk, Variation, at_points, shrink

TRIES_MAX = 120  # of Hypothesis, for a race that takes more than one preemption or two calls


def make_finding(scheduler: Scheduler, ground: Ground, contest: Contest, hit: Hit, *, seed: int) -> Finding:
    """Return the finding that a hit is, with the fewest calls and preemptions, and these as early as may be.

    Raises:
        DatabaseError: the server is gone.
    """

    def rebuild(calls: Sequence[PlannedCall]) -> Program:
        return contest.part(calls).program()

    shrunk = _find_one_preemption(scheduler, contest, hit)
    if shrunk is None:
        variation = Variation(contest.calls, contest.operations, make_world(ground.keys), rebuild)
        shrunk = shrink(scheduler, contest.program(), hit, variation=variation, runs_max=TRIES_MAX, seed=seed)
    return finding_of_run(
        scheduler,
        contest.part(shrunk.calls),
        shrunk.run,
        shrunk.judgement,
        seed=seed,
        played=hit.schedules,
        seconds=hit.seconds,
    )


def _find_one_preemption(scheduler: Scheduler, contest: Contest, hit: Hit) -> Shrunk | None:
    """Return the first schedule of two calls with one preemption that goes wrong like the hit, or None.

    Most races need no more, and this finds the one that is easiest to read, a call interrupted as early as may be by
    another one as a whole, in a few tries: for ghostpass's bugs 0.1 to 0.6 s, where shrinking takes 5 to 11 s.
    """
    if len(contest.calls) != 2 or not hit.preemptions:
        return None
    program = contest.program()
    judge = Judge(scheduler, program)
    tries = 0
    for first, other in ("AB", "BA"):
        start = ((0, first),) if first == "B" else ()
        for position in range(1, hit.run.letters.count(first) + 1):
            run = scheduler.play(program, decide=at_points((*start, (position, other))))
            judgement = judge.judge(run)
            tries += 1
            if frozenset(alarm.fingerprint for alarm in judgement.alarms) == hit.fingerprint:
                return Shrunk(program, (0, 1), contest.calls, run, judgement, tries)
    return None


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
    explanation = explain(Judge(scheduler, contest.program()), run, alarms=judgement.alarms)
    calls = {
        letter: CallRecord(
            operation=call.operation,
            arguments={name: json_of(value) for name, value in call.arguments.items()},
            returned=return_record(run.trace.returns.get(letter)),
        )
        for letter, call in zip(ascii_uppercase, contest.calls, strict=False)
    }
    return Finding(
        system=contest.system.name,
        reference=contest.system.path,
        raced=contest.system.raced,
        bug=contest.bug.name if contest.bug else None,
        isolation=contest.isolation,
        dialect=scheduler.dialect,
        seed=seed,
        schedule=shorten(run.choices),
        letters=run.letters,
        preemptions=count_preemptions(run.choices),
        alarms=tuple(
            AlarmRecord(oracle=alarm.oracle, name=alarm.name, rows=tuple(plain_row(row) for row in alarm.rows))
            for alarm in judgement.alarms
        ),
        calls=calls,
        keys=plain_row(run.keys),
        events=events_of(run.trace),
        tables=hash_tables(contest.system.metadata, dropped=contest.dropped),
        schedules_played=played,
        seconds=seconds,
        anomaly=explanation.anomaly.code,
        explanation=tuple(explanation.lines),
        timeline=tuple(timeline_of(run)),
    )
