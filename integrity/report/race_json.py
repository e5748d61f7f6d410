"""Races as JSON for programs: groups, a reproduction, replays and mutations."""

from typing import Any

from integrity.race.judge.checks import LeftOut
from integrity.race.matrix import Group
from integrity.race.played import Played
from integrity.race.raced import FindingKept, Mutated, Raced, Replayed, Reproduced
from integrity.race.search.idle import Idle
from integrity.race.trial.mutate import Attempt, Mutation
from integrity.report.race_coverage import told_failing
from integrity.report.race_text import describe_played, left_out_of


def raced_json(raced: Raced) -> dict[str, Any]:
    """Return what came out of a race, for programs."""
    race = raced.race
    return {
        "system": race.system.name,
        "bug": race.bug.name if race.bug else None,
        "isolation": race.settings.isolation.value,
        "preemptions": race.settings.preemptions,
        "seed": race.settings.seed,
        "groups": [group_json(group) for group in raced.groups],
        "left_out": [_left_out_json(each) for each in left_out_of(raced.groups)],
        "findings": [_found_json(each) for each in raced.found],
        "answers_apart": [_found_json(each) for each in raced.apart],
    }


def played_json(played: Played) -> dict[str, Any]:
    """Return one schedule that was played and went well, or was cut off, for programs."""
    return {"schedule": played.letters, "outcome": describe_played(played), "idle": _idle_json(played.idle), "findings": []}


def reproduced_json(reproduced: Reproduced) -> dict[str, Any]:
    """Return what brought a violated row back, for programs."""
    found = reproduced.reproduction
    return {
        "invariant": reproduced.invariant,
        "row": dict(reproduced.row),
        "audit": {"run": reproduced.run_id, "taken_at": reproduced.taken_at},
        "kind": found.kind or None,
        "touched": found.touched,
        "raced": list(found.pairs),
        "schedules": found.schedules,
        "tried": [
            {"way": each.way.value, "calls": each.calls, "schedules": each.schedules, "result": each.result}
            for each in found.tried
        ],
        "untried": list(found.untried),
        "is_budget_over": found.is_over,
        "crash": {"call": found.call, "after": list(found.steps), "rows": list(found.rows)} if found.call else None,
        "finding": reproduced.found[0].finding.model_dump(mode="json") if reproduced.found else None,
    }


def group_json(group: Group) -> dict[str, Any]:
    """Return what is known of a group, for programs."""
    return {
        "operations": list(group.names),
        "verdict": group.verdict.value,
        "choices": [
            {
                "calls": list(each.calls),
                "verdict": each.verdict.value,
                "schedules": each.coverage.played,
                "spared": each.coverage.spared,
                "random": each.coverage.random,
                "preemptions_completed": each.coverage.bound_completed,
                "is_exhaustive": each.coverage.is_exhaustive,
                "pairs": len(each.coverage.pairs),
                "pairs_in_both_orders": each.coverage.pairs_in_both_orders,
                "lock_waits": each.coverage.waits,
                "deadlocks": each.coverage.deadlocks,
                "serialization_failures": each.coverage.serialization_failures,
                "refusals": each.coverage.refusals,
                "abstentions": each.coverage.abstentions,
                "cut": [*each.coverage.cut, *told_failing(each.coverage.failing)],
                "idle": _idle_json(each.coverage.idle),
                "seconds": round(each.seconds, 3),
            }
            for each in group.searched
        ],
    }


def _left_out_json(left_out: LeftOut) -> dict[str, str]:
    return {"name": left_out.name, "reason": left_out.reason, **({"row": left_out.blamed} if left_out.blamed else {})}


def _idle_json(idle: Idle | None) -> dict[str, Any] | None:
    return {"reason": idle.reason, "rows": list(idle.rows)} if idle else None


def replays_json(replayed: Replayed) -> dict[str, Any]:
    """Return how often a finding came back, for programs."""
    replays, finding = replayed.replays, replayed.finding
    return {
        "finding": replayed.name,
        "violated": sorted({alarm.name for alarm in finding.alarms}) if finding else list(replayed.failures),
        "times": len(replays),
        "came_back": sum(each.is_back for each in replays),
        "went_wrong": sum(each.is_wrong for each in replays),
        "differences": list(replayed.differences),
        "replays": [
            {
                "letters": each.letters,
                "is_back": each.is_back,
                "other_failures": list(each.others),
                "course": each.course,
                "why_unknown": each.why_unknown,
            }
            for each in replays
        ],
    }


def mutated_json(mutated: Mutated) -> dict[str, Any]:
    """Return what protections are good for, for programs."""
    return {
        "mutations": [_mutation_json(each) for each in mutated.mutations],
        "unguarded": [_attempt_json(each.attempt) for each in mutated.unguarded],
    }


def _mutation_json(mutation: Mutation) -> dict[str, Any]:
    return {
        "protection": mutation.protection,
        "is_constraint": mutation.is_constraint,
        "verdict": mutation.word,
        "redundant_with": list(mutation.partners) if mutation.word == "redundant" else [],
        "attempts": [_attempt_json(attempt) for attempt in mutation.attempts],
    }


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    return {
        "removed": list(attempt.removed),
        "operations": list(attempt.operations),
        "schedule": attempt.hit.schedule if attempt.hit else None,
        "violated": sorted({alarm.name for alarm in attempt.hit.alarms}) if attempt.hit else [],
        "pairs": attempt.pairs,
        "choices": attempt.choices,
        "schedules": attempt.schedules,
    }


def _found_json(found: FindingKept) -> dict[str, Any]:
    return {"file": str(found.file), **found.finding.model_dump(mode="json")}
