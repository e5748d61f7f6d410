"""Wakes: in which order those that one letter lets go on are noted.

What one of them ends, by its end or by a refusal, can let the next go on before anybody has looked: the server frees at
once whom a commit, a rollback, the abort of a deadlock's victim or a serialization failure leaves without a lock to wait
for, and answers come over a connection each. So in which order they are seen is chance, and not what is noted. Who waited
for whom before the letter and what came of each is no chance, and the order is a function of that alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from integrity.race.play.session import DEADLOCK


@dataclass(frozen=True, slots=True)
class Wake:
    """One that went on.

    Args:
        actor: its letter.
        sqlstate: what its statement was refused with; empty: it was carried out.
    """

    actor: str
    sqlstate: str = ""


def in_order_of_cause(wakes: Iterable[Wake], waited_for: Mapping[str, str]) -> list[str]:
    """Return the actors, who went on first.

    One that waited for another that went on too, perhaps through a third, comes behind it: it went on by its doing. Of a
    circle the victim of the deadlock comes first, whose refusal opened it; where nobody was refused, the server has let one
    in front of another. Of the others those that were refused come first, since a refusal lets others go on that may have
    come to wait for it after they were woken; for the rest the letter decides.

    Args:
        wakes: each actor at most once.
        waited_for: for each that waited as the letter was over, the actors that it waited for.
    """
    left = {wake.actor: wake for wake in wakes}
    ordered = []
    while left:
        behind = {actor: _reach(actor, waited_for) & left.keys() - {actor} for actor in left}
        first = [wake for actor, wake in left.items() if not behind[actor]] or _outermost(left, behind)
        woken = min(first, key=lambda wake: (wake.sqlstate != DEADLOCK, not wake.sqlstate, wake.actor))
        ordered.append(woken.actor)
        del left[woken.actor]
    return ordered


def _outermost(left: Mapping[str, Wake], behind: Mapping[str, set[str]]) -> list[Wake]:
    """Return those of circles behind which there is nothing but the circle."""
    return [wake for actor, wake in left.items() if all(actor in behind[other] for other in behind[actor])]


def _reach(actor: str, waited_for: Mapping[str, str]) -> set[str]:
    """Return whom an actor waited for, directly or through others."""
    reached: set[str] = set()
    found = set(waited_for.get(actor, ""))
    while found:
        reached |= found
        found = {other for each in found for other in waited_for.get(each, "")} - reached
    return reached
