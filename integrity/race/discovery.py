"""From a hit to a finding: the schedule shrunk, played once more, and written down."""

from string import ascii_uppercase

from integrity.race.contest import Contest
from integrity.race.explore import Hit
from integrity.race.finding import (
    AlarmRecord,
    CallRecord,
    Finding,
    events_of,
    hash_tables,
    plain_row,
    return_record,
)
from integrity.race.scheduler import Scheduler


def make_finding(scheduler: Scheduler, contest: Contest, hit: Hit, *, seed: int) -> Finding:
    """Return the finding that a hit is."""
    run = hit.run
    calls = {
        letter: CallRecord(
            operation=call.operation,
            arguments=dict(call.arguments),
            returned=return_record(run.trace.returns.get(letter)),
        )
        for letter, call in zip(ascii_uppercase, contest.calls, strict=False)
    }
    return Finding(
        system=contest.system.name,
        bug=contest.bug.name if contest.bug else None,
        isolation=contest.isolation,
        seed=seed,
        schedule=hit.schedule,
        letters=run.letters,
        preemptions=hit.preemptions,
        alarms=[
            AlarmRecord(oracle=alarm.oracle.value, name=alarm.name, rows=[plain_row(row) for row in alarm.rows])
            for alarm in hit.alarms
        ],
        calls=calls,
        keys=plain_row(run.keys),
        events=events_of(run.trace),
        tables=hash_tables(contest.system.metadata, dropped=contest.dropped),
        schedules_played=hit.schedules,
        seconds=hit.seconds,
    )
