"""Independence: a schedule is foreseen from others, and known if it is one of them but for neighbours that do not touch."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from integrity.race.play.footprint import Footprint, is_dependent
from integrity.race.program.schedule import Choice, continue_with, letters_of
from integrity.race.program.trace import StepPhase
from integrity.race.search.independence import Independence


@dataclass(frozen=True)
class Calls:
    """Two calls that never wait, as the footprints of their letters."""

    footprints: dict[str, tuple[Footprint, ...]]

    def play(self, independence: Independence, letters: str) -> str:
        """Play a schedule as the scheduler would, with what listens to it; return its letters."""
        recorder = independence.record()
        numbers = dict.fromkeys(self.footprints, 0)
        choices: list[Choice] = []
        previous = ""
        while ready := "".join(actor for actor in numbers if numbers[actor] < len(self.footprints[actor])):
            chosen = letters[len(choices)] if len(choices) < len(letters) else continue_with(ready, previous)
            choices.append(Choice(ready, previous, chosen))
            recorder.add(chosen, numbers[chosen], StepPhase.DONE, self.footprints[chosen][numbers[chosen]])
            numbers[chosen] += 1
            previous = chosen
            recorder.end_letter(done="".join(a for a in numbers if numbers[a] == len(self.footprints[a])))
        independence.remember("AB", recorder.occurrences)
        return letters_of(choices)

    def order_of_dependent_letters(self, letters: str) -> frozenset[tuple[tuple[str, int], tuple[str, int]]]:
        """Return which letter came first, of each pair that touches."""
        numbers = dict.fromkeys(self.footprints, 0)
        played: list[tuple[str, int]] = []
        for actor in letters:
            played.append((actor, numbers[actor]))
            numbers[actor] += 1
        return frozenset(
            (earlier, later)
            for place, later in enumerate(played)
            for earlier in played[:place]
            if earlier[0] != later[0]
            and is_dependent(self.footprints[earlier[0]][earlier[1]], self.footprints[later[0]][later[1]])
        )


APART = Calls({"A": (Footprint(reads=1),) * 3, "B": (Footprint(reads=2),) * 2})
TOUCHING = Calls({"A": (Footprint(reads=1), Footprint(rows=1)), "B": (Footprint(rows=1), Footprint(rows=1, published=1))})


def test_nothing_is_foreseen_before_anything_was_played() -> None:
    assert Independence().foresee("AB") is None


def test_calls_that_do_not_touch_are_played_once() -> None:
    independence = Independence()
    APART.play(independence, "")
    for letters in ("ABABA", "BBAAA", "AABBA"):
        foreseen = independence.foresee(letters)
        assert foreseen is not None
        assert letters_of(foreseen.choices) == letters
        assert foreseen.signature in independence.played


def test_a_letter_in_a_past_that_was_not_seen_is_not_foreseen() -> None:
    independence = Independence()
    TOUCHING.play(independence, "AABB")
    assert independence.foresee("BABA") is None


footprints = st.builds(
    Footprint, reads=st.integers(0, 3), rows=st.integers(0, 3), published=st.integers(0, 3), takes_snapshot=st.booleans()
)
two_calls = st.builds(
    lambda one, other: Calls({"A": one, "B": other}),
    st.lists(footprints, min_size=1, max_size=3).map(tuple),
    st.lists(footprints, min_size=1, max_size=3).map(tuple),
)


@given(calls=two_calls, data=st.data())
def test_a_schedule_counts_as_known_only_if_all_that_touch_come_in_the_same_order_as_in_one_that_was_played(
    calls: Calls, data: st.DataObject
) -> None:
    independence = Independence()
    letters = "".join(actor * len(each) for actor, each in calls.footprints.items())
    played = set()
    for _ in range(data.draw(st.integers(1, 6))):
        played.add(calls.play(independence, "".join(data.draw(st.permutations(letters)))))
    candidate = "".join(data.draw(st.permutations(letters)))
    foreseen = independence.foresee(candidate)
    is_known = foreseen is not None and foreseen.signature in independence.played
    orders = {calls.order_of_dependent_letters(each) for each in played}
    assert is_known == (calls.order_of_dependent_letters(candidate) in orders)
