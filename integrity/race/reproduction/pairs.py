"""Pairs: which two calls to race, of the thousands that touched a row: each kind of pair once, the likeliest first.

What makes a kind are the operations, which keys the two share, and values of closed sets; amounts make none. Of each kind
the two that overlapped most stand for it. Calls are compared with those that began around the same time: all pairs of
23,000 calls are 270 million.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import Any

from integrity.domain import Domain, Key, KeyOf, NewKey, OneOf
from integrity.history import Call
from integrity.race.judge.contest import Ground
from integrity.race.play.deadline import Deadline
from integrity.race.program.planned_calls import PlannedCall, make_world
from integrity.race.reproduction.effects import Effects
from integrity.race.reproduction.planning import plan_calls
from integrity.race.reproduction.subjects import text_key
from integrity.race.reproduction.touching import Reach, Touch

NEIGHBOURS_MAX = 64
"""Calls that began behind one are compared with it: those that it overlapped, and at least NEIGHBOURS_LEAST."""

NEIGHBOURS_LEAST = 4
SHAPES_MAX = 64
"""Shapes of calls of which each two are brought together, also where none of theirs were neighbours."""

VARIANTS_MAX = 2
_VARIANTS_TRIED_MAX = 16
_LOOKS_AT_CLOCK_EVERY = 4096

_Shape = tuple[str, tuple[str, ...]]
"""An operation and its values of closed sets."""


@dataclass(frozen=True, slots=True)
class PairKind:
    """Two calls that stand for all of their kind.

    Args:
        calls: in the order of their shapes: a search plays each order of them.
        reaches: how sure it is that the calls touched the row, the less sure first.
        gap_us: how far apart they were; below zero they overlapped.
    """

    calls: tuple[Call, Call]
    reaches: tuple[Reach, Reach]
    gap_us: int
    is_direct: bool


def find_kinds(
    touching: Sequence[Touch], operations: Mapping[str, Mapping[str, Domain]], deadline: Deadline
) -> list[PairKind]:
    """Return a pair of each kind, those that touched the row for certain first, of them those that overlapped most.

    Args:
        operations: the domains of the arguments of each.
        deadline: what was found by then is returned.
    """
    ordered = sorted(touching, key=lambda touch: touch.call.invoked_at_us)
    shapes = [shape_of(touch.call, operations[touch.call.operation]) for touch in ordered]
    keys = [_keys(touch.call, operations[touch.call.operation]) for touch in ordered]
    found: dict[Any, tuple[tuple[Reach, Reach, int], int, int]] = {}
    for count, (first, second) in enumerate(_neighbours(ordered, shapes)):
        if count % _LOOKS_AT_CLOCK_EVERY == 0 and deadline.is_over:
            break
        one, other = (first, second) if shapes[first] <= shapes[second] else (second, first)
        both = keys[one] + keys[other]
        kind = shapes[one], shapes[other], tuple(map(both.index, both))
        rank = _rank(ordered[first], ordered[second])
        if kind not in found or rank < found[kind][0]:
            found[kind] = rank, one, other
    return [
        PairKind(
            (ordered[one].call, ordered[other].call), rank[:2], rank[2], ordered[one].is_direct and ordered[other].is_direct
        )
        for rank, one, other in sorted(found.values())
    ]


def _neighbours(ordered: Sequence[Touch], shapes: Sequence[_Shape]) -> Iterator[tuple[int, int]]:
    """Yield pairs of places, the earlier call first."""
    for first, touch in enumerate(ordered):
        for second in range(first + 1, min(first + 1 + NEIGHBOURS_MAX, len(ordered))):
            if second - first > NEIGHBOURS_LEAST and _gap_us(touch.call, ordered[second].call) > 0:
                break
            yield first, second
    places: dict[_Shape, list[int]] = {}
    for place, shape in enumerate(shapes):
        places.setdefault(shape, []).append(place)
    for one, other in combinations(islice(places.values(), SHAPES_MAX), 2):
        yield _nearest(one, other)


def _nearest(one: Sequence[int], other: Sequence[int]) -> tuple[int, int]:
    """Return a place of each of two sorted lists, as near to each other as the shorter one's have them."""
    if len(one) > len(other):
        one, other = other, one
    near = []
    for place in one[:_LOOKS_AT_CLOCK_EVERY]:
        at = bisect_left(other, place)
        near += [(place, beside) for beside in other[max(0, at - 1) : at + 1]]
    first, second = min(near, key=lambda pair: abs(pair[0] - pair[1]))
    return (first, second) if first < second else (second, first)


def _rank(first: Touch, second: Touch) -> tuple[Reach, Reach, int]:
    reaches = first.reach, second.reach
    return max(reaches), min(reaches), _gap_us(first.call, second.call)


def _gap_us(first: Call, second: Call) -> int:
    """Return how far apart two calls were; below zero they overlapped. One without a return goes on for ever."""
    return second.invoked_at_us - (first.returned_at_us or second.invoked_at_us + 1)


def shape_of(call: Call, domains: Mapping[str, Domain]) -> _Shape:
    """Return the operation, and what of the arguments is of a closed set: amounts and keys make no shape."""
    return call.operation, tuple(str(call.arguments[name]) for name, each in domains.items() if isinstance(each, OneOf))


def mark_of(call: Call, domains: Mapping[str, Domain]) -> tuple[_Shape, tuple[int, ...]]:
    """Return what calls of one kind have in common: their shape, and which of their keys are the same."""
    keys = _keys(call, domains)
    return shape_of(call, domains), tuple(map(keys.index, keys))


def _keys(call: Call, domains: Mapping[str, Domain]) -> list[tuple[str, ...]]:
    return [
        (each.pool, *text_key(call.arguments[name])) for name, each in domains.items() if isinstance(each, KeyOf)
    ]  # fmt: skip


def variants(kind: PairKind, ground: Ground, effects: Effects) -> list[tuple[PlannedCall, ...]]:
    """Return a kind of pair on rows of the stage, first those on which the two were seen to change the same row.

    Whose arguments are the key of the row meet by that. Others meet in what their rows belong to, and which rows of the
    stage belong together is seen by making the calls.
    """
    planned = plan_calls(kind.calls, ground)
    if kind.is_direct or effects.meet(planned) in (True, None):
        return [planned]
    others = (each for each in _on_other_keys(planned, ground) if each != planned)
    meeting = (each for each in islice(others, _VARIANTS_TRIED_MAX) if effects.meet(each))
    return [*islice(meeting, VARIANTS_MAX), planned]


def _on_other_keys(planned: tuple[PlannedCall, ...], ground: Ground) -> Iterator[tuple[PlannedCall, ...]]:
    """Yield the calls with every choice of keys of their pools."""
    pools = make_world(ground.keys).keys
    places = [
        (number, name, pools[domain.pool])
        for number, call in enumerate(planned)
        for name, domain in ground.system.operations[call.operation].arguments.items()
        if isinstance(domain, KeyOf) and not isinstance(domain, NewKey)
    ]
    for chosen in product(*(keys for _, _, keys in places)):
        given: list[dict[str, Key]] = [dict(call.arguments) for call in planned]
        for (number, name, _), key in zip(places, chosen, strict=True):
            given[number][name] = key
        yield tuple(PlannedCall(call.operation, arguments) for call, arguments in zip(planned, given, strict=True))
