"""The effect of a fault is told from the history: before, during, after, and how long until all was as before."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from integrity.faults.catalogue import FAULTS
from integrity.faults.player import PlayedFault
from integrity.faults.schedule import Window
from integrity.history import Call, Outcome, encode_invoked, encode_returned
from integrity.measure.effects import describe_effects
from integrity.runs.effects import MET_NOTHING
from integrity.runs.folder import RunFolder

SECOND = 1_000_000


def played(from_s: float, to_s: float, healed_s: float | None = None) -> PlayedFault:
    window = Window("db_latency", FAULTS["db_latency"], {}, from_s, to_s)
    healed_us = round((healed_s if healed_s is not None else to_s) * SECOND)
    return PlayedFault(window, round(from_s * SECOND), round(to_s * SECOND), healed_us, {"pieces delayed": 3})


def write(folder: Path, calls: Sequence[tuple[float, float | None, Outcome]]) -> RunFolder:
    """Write a history of calls: when invoked, when returned, how they ended."""
    lines = []
    for number, (invoked_s, returned_s, outcome) in enumerate(calls):
        invoked_us = round(invoked_s * SECOND)
        returned_us = None if returned_s is None else round(returned_s * SECOND)
        call = Call(UUID(int=number), "sell", {}, 1, invoked_us, invoked_us, returned_us, outcome)
        lines.append(encode_invoked(call))
        if returned_us is not None:
            lines.append(encode_returned(call))
    (folder / "history.jsonl").write_bytes(b"".join(lines))
    return RunFolder(folder)


def steady(
    from_s: float, to_s: float, latency_ms: float, outcome: Outcome = Outcome.OK
) -> list[tuple[float, float, Outcome]]:
    """Return a call every 10 ms."""
    count = round((to_s - from_s) * 100)
    return [(from_s + n / 100, from_s + n / 100 + latency_ms / 1000, outcome) for n in range(count)]


def test_a_call_belongs_to_the_window_when_any_part_of_it_was_in_it(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        [
            (0.5, 0.6, Outcome.OK),
            (0.9, 1.1, Outcome.OK),  # reaches into it
            (1.2, 1.3, Outcome.DECLINED),
            (1.3, 1.4, Outcome.UNAVAILABLE),
            (1.9, 9.0, Outcome.FAILED),  # held up by it
            (0.8, None, Outcome.UNKNOWN),  # never returned
            (2.1, 2.2, Outcome.OK),
        ],
    )
    (effect,) = describe_effects(folder, [played(1.0, 2.0)], began_at_us=0, ended_at_us=10 * SECOND)
    counts = {
        name: [phase.ok, phase.declined, phase.unavailable, phase.failed, phase.unknown] for name, phase in effect.phases
    }
    assert counts == {"before": [1, 0, 0, 0, 0], "during": [1, 1, 1, 1, 1], "after": [1, 0, 0, 0, 0]}
    assert effect.phases.before.p95_ms == pytest.approx(100)
    assert effect.did == {"pieces delayed": 3}


def test_before_and_after_reach_to_the_next_window(tmp_path: Path) -> None:
    folder = write(tmp_path, steady(0, 6, 1))
    first, second = describe_effects(
        folder, [played(1, 2, healed_s=2.5), played(4, 5)], began_at_us=0, ended_at_us=6 * SECOND
    )
    assert first.phases.after.calls == 200
    assert second.phases.before.calls == 150  # from when the first was healed
    assert second.phases.after.calls == 100


@pytest.mark.parametrize(
    ("after", "recovery_s"),
    [
        (steady(2, 4, 5), 0.0),
        ([*steady(2, 2.6, 50), *steady(2.6, 4, 5)], 0.75),  # the bin from 0.5 on still has slow calls
        ([*steady(2, 2.5, 5, Outcome.FAILED), *steady(2.5, 4, 5)], 0.5),
        ([*steady(2, 2.5, 5, Outcome.UNAVAILABLE), *steady(2.5, 4, 5)], 0.5),
        ([*steady(2, 2.25, 50), *steady(2.25, 2.5, 5), *steady(2.5, 3, 50), *steady(3, 4, 5)], 1.0),  # one good bin is luck
        # Four calls in a quarter say nothing, five do.
        ([*steady(2, 2.04, 5), *steady(2.25, 2.29, 5), *steady(2.5, 3, 50), *steady(3, 4, 5)], 1.0),
        ([*steady(2, 2.05, 5), *steady(2.25, 2.3, 5), *steady(2.5, 3, 50), *steady(3, 4, 5)], 0.0),
        (steady(2, 4, 50), None),
        (steady(3, 4, 5), 1.0),  # nothing at all for a second
        ([], None),
    ],
)
def test_recovery_lasts_until_latency_and_failures_are_as_before(
    tmp_path: Path, after: list[tuple[float, float, Outcome]], recovery_s: float | None
) -> None:
    folder = write(tmp_path, [*steady(-1, 1, 5), *steady(1, 2, 90), *after])
    (effect,) = describe_effects(folder, [played(1, 2)], began_at_us=-SECOND, ended_at_us=4 * SECOND)
    assert effect.recovery_s == recovery_s


def test_where_calls_are_few_longer_pieces_are_looked_at(tmp_path: Path) -> None:
    """At ten calls a second no quarter of one had five, so nothing was ever as before."""
    calls = [(n / 10, n / 10 + (0.5 if 100 <= n < 125 else 0.005), Outcome.OK) for n in range(200)]
    folder = write(tmp_path, calls)
    (effect,) = describe_effects(folder, [played(10, 12)], began_at_us=0, ended_at_us=20 * SECOND)
    assert (effect.recovery_s, effect.recovery_unknown, effect.looked_s) == (1.0, "", 8.0)


def test_it_is_looked_no_further_than_calls_were_drawn(tmp_path: Path) -> None:
    folder = write(tmp_path, [*steady(-1, 2, 5), *steady(2, 4, 50)])
    (effect,) = describe_effects(
        folder, [played(1, 2)], began_at_us=-SECOND, ended_at_us=30 * SECOND, drawn_until_us=4 * SECOND
    )
    assert (effect.recovery_s, effect.looked_s) == (None, 2.0)


def test_calls_of_a_window_that_hang_or_say_nothing_are_counted_by_operation(tmp_path: Path) -> None:
    calls = [(1.1, None, Outcome.UNKNOWN), (1.2, 12.6, Outcome.OK), (1.3, 12.4, Outcome.OK), (1.4, 1.5, Outcome.FAILED)]
    folder = write(tmp_path, calls)
    (effect,) = describe_effects(folder, [played(1, 2, healed_s=2.5)], began_at_us=0, ended_at_us=20 * SECOND)
    assert (effect.unended, effect.unexplained, effect.cut_off) == ({"sell": 2}, {"sell": 1}, 0)
    (effect,) = describe_effects(folder, [played(1, 2, healed_s=2.5)], began_at_us=0, ended_at_us=12 * SECOND)
    assert (effect.unended, effect.cut_off) == ({}, 1), "the run was over before they had their time"


def test_settlements_stand_in_the_part_of_the_run_that_they_reach_into(tmp_path: Path) -> None:
    settled = [(100_000, 300_000), (900_000, 1_500_000), (1_200_000, 9_000_000), (3_000_000, 3_500_000)]
    (effect,) = describe_effects(
        write(tmp_path, []), [played(1, 2)], began_at_us=0, ended_at_us=10 * SECOND, settled_us=settled
    )
    told = {name: (phase.settled, phase.settled_mean_ms, phase.settled_p95_ms) for name, phase in effect.phases}
    assert told == {"before": (1, 200.0, 200.0), "during": (2, 4200.0, 7800.0), "after": (1, 500.0, 500.0)}


@pytest.mark.parametrize(
    ("before", "after", "did", "unknown"),
    [
        ([], steady(2, 4, 5), {"x": 1}, "too few calls to tell recovery: 0 before it, enough in 0 of the"),
        # 12 a second, of which one behind it is slower than any before: a sound system.
        ([(n / 12, n / 12 + 0.01, Outcome.OK) for n in range(12)], steady(2, 4, 90), {"x": 1}, "too few calls to tell"),
        (steady(-1, 1, 5), steady(2, 3, 90), {"x": 1}, "too little was seen behind it to tell: 1.0 s of 1.2 s"),
        (steady(-1, 1, 5), steady(2, 3, 90), {}, MET_NOTHING),
    ],
)
def test_what_says_too_little_of_recovery_is_unknown_and_why(
    tmp_path: Path, before: list[Any], after: list[Any], did: dict[str, int], unknown: str
) -> None:
    """Faults in a sound run of few calls "were not yet as before", one that met nothing among them."""
    window = replace(played(1, 2), counts=did)
    folder = write(tmp_path, [*before, *after])
    until_us = round(max(each[0] for each in after) + 0.01) * SECOND
    (effect,) = describe_effects(folder, [window], began_at_us=-SECOND, ended_at_us=until_us)
    assert effect.recovery_s is None
    assert effect.recovery_unknown.startswith(unknown)
