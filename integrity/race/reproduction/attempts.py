"""Attempts: what is to be tried to bring a violation back, in order: what is cheap or likely first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from integrity.domain import Domain, KeyOf, OneOf
from integrity.history import Call, Outcome
from integrity.race.judge.contest import Ground
from integrity.race.play.deadline import Deadline
from integrity.race.program.planned_calls import PlannedCall
from integrity.race.reproduction.pairs import PairKind, find_kinds, mark_of
from integrity.race.reproduction.planning import plan_calls
from integrity.race.reproduction.reproduction import Way
from integrity.race.reproduction.touching import Touch

KINDS_MAX = 24
"""Kinds of pairs that are raced; each takes some tenths of a second, or minutes where calls are long."""

ALONE_MAX = 12


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is to be tried: a call, or a kind of pair.

    Args:
        words: what it is called in notes and reports.
    """

    way: Way
    words: str
    call: PlannedCall | None = None
    kind: PairKind | None = None

    def __str__(self) -> str:
        return f"{self.way}: {self.words}"


def plan_attempts(touching: Sequence[Touch], ground: Ground, deadline: Deadline) -> tuple[list[Attempt], tuple[str, ...]]:
    """Return what is to be tried, and the kinds of pairs that are too many.

    First calls alone, then clients that died, pairs, calls with other amounts, and any client that dies.

    Args:
        touching: the surest first.
        deadline: as find_kinds takes it.
    """
    domains = {name: each.arguments for name, each in ground.system.operations.items()}
    kinds = _by_kind(touching, ground)
    died = _by_kind([touch for touch in touching if touch.call.outcome is Outcome.UNKNOWN], ground)
    pairs = [
        Attempt(Way.RACE, words_of(plan_calls(kind.calls, ground)), kind=kind)
        for kind in find_kinds(touching, domains, deadline)
    ]
    attempts = [Attempt(Way.ALONE, str(call), call) for call in _likeliest(touching, kinds, ground)]
    attempts += [Attempt(Way.CUT_OFF, kind, call) for kind, call in died.items()]
    attempts += pairs[:KINDS_MAX]
    attempts += [Attempt(Way.OTHER_AMOUNTS, kind, call) for kind, call in kinds.items()]
    attempts += [Attempt(Way.CUT_OFF, kind, call) for kind, call in kinds.items() if kind not in died]
    return attempts, tuple(map(str, pairs[KINDS_MAX:]))


def words_of(calls: Sequence[PlannedCall]) -> str:
    """Return calls as they are told."""
    return " + ".join(map(str, calls))


def _by_kind(touching: Sequence[Touch], ground: Ground) -> dict[str, PlannedCall]:
    """Return the first call of each kind, by what its kind is called: amounts make none."""
    first: dict[object, Call] = {}
    for touch in touching:
        domains = ground.system.operations[touch.call.operation].arguments
        first.setdefault(mark_of(touch.call, domains), touch.call)
    planned = [plan_calls([call], ground)[0] for call in first.values()]
    return {_kind(call, ground.system.operations[call.operation].arguments): call for call in planned}


def _likeliest(touching: Sequence[Touch], kinds: Mapping[str, PlannedCall], ground: Ground) -> list[PlannedCall]:
    """Return calls to make alone: one of each kind, and of the surest more, whose amounts are others."""
    calls = {str(call): call for call in kinds.values()}
    for touch in touching:
        if len(calls) >= ALONE_MAX:
            break
        (call,) = plan_calls([touch.call], ground)
        calls.setdefault(str(call), call)
    return list(calls.values())


def _kind(call: PlannedCall, domains: Mapping[str, Domain]) -> str:
    shown = [f"{name}={value}" for name, value in call.arguments.items() if isinstance(domains[name], KeyOf | OneOf)]
    return f"{call.operation}({', '.join(shown)})"
