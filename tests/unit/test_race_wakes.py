"""Those that one letter lets go on are noted by who waited for whom and what came of it, however they were seen."""

from itertools import permutations

import pytest

from integrity.race.play.wakes import Wake, in_order_of_cause


@pytest.mark.parametrize(
    ("wakes", "waited_for", "ordered"),
    [
        ("A B", {"A": "C", "B": "C"}, "AB"),
        ("A B", {"A": "B", "B": "C"}, "BA"),
        ("A B", {"A": "D", "D": "B", "B": "C"}, "BA"),
        ("A B:40P01", {"A": "B", "B": "A"}, "BA"),
        ("A:40P01 B", {"A": "B", "B": "A"}, "AB"),
        ("A:40001 B:40P01", {"A": "B", "B": "A"}, "BA"),
        ("A B C:40P01", {"A": "B", "B": "C", "C": "B"}, "CBA"),
        ("A B C", {"A": "BC", "B": "C", "C": "B"}, "BCA"),
        ("A B:40001", {"A": "C", "B": "C"}, "BA"),
        ("A:40001 B:40001", {"A": "B", "B": "C"}, "BA"),
        ("A B C:23505", {"A": "C", "B": "D", "C": "D"}, "CAB"),
        ("", {"A": "B"}, ""),
    ],
    ids=[
        "freed by one end",
        "one freed by the other's refusal",
        "through one that waits on",
        "the victim is the later letter",
        "the victim is the earlier letter",
        "freed by a deadlock, and then refused",
        "behind a circle",
        "a circle that the server reordered",
        "a refusal may have freed the other",
        "a refusal that came of a refusal",
        "what a refusal freed is as good as what the letter freed",
        "nobody",
    ],
)
def test_the_order_is_that_of_the_causes_however_they_are_seen(
    wakes: str, waited_for: dict[str, str], ordered: str
) -> None:
    seen = [Wake(actor, sqlstate) for actor, _, sqlstate in (wake.partition(":") for wake in wakes.split())]
    assert {"".join(in_order_of_cause(each, waited_for)) for each in permutations(seen)} == {ordered}
