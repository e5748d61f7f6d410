"""What could have been meant by a name that nothing has: one rule for all names, and one wording."""

from collections.abc import Iterable

SUGGESTED_MOST = 3


def suggest(name: str, known: Iterable[str], *, otherwise: str = "", always: str = "") -> str:
    """Return a hint that names what is spelt nearly so, by its whole name or by the last part of it behind a slash.

    Args:
        otherwise: where to look when nothing is.
        always: what is said in either case, e.g. all names there are, where they are few: the nearest one is enough then.
    """
    from difflib import get_close_matches  # nothing else needs it, and most commands have no name to mend

    by_last_part: dict[str, list[str]] = {}
    for each in known:
        by_last_part.setdefault(each.rpartition("/")[2], []).append(each)
    near = get_close_matches(name, [each for names in by_last_part.values() for each in names], n=SUGGESTED_MOST)
    for part in get_close_matches(name.rpartition("/")[2], by_last_part, n=SUGGESTED_MOST):
        near += by_last_part[part][-1:]
    meant = " or ".join(list(dict.fromkeys(near))[: 1 if always else SUGGESTED_MOST])
    return " ".join(filter(None, (f"Perhaps you meant {meant}." if meant else otherwise, always)))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return which of a few words another one all but is; empty: none.

    At 0.85 one letter too many or too few is a slip, and `now` for `row`, `one` for `on` are words of their own.
    """
    from difflib import get_close_matches  # text without a slip does not pay for it

    return next(iter(get_close_matches(word.lower(), list(known), n=1, cutoff=0.85)), "")


_LETTERS_FEW = 4


def is_slip(word: str, meant: str, *, wrong_most: int) -> bool:
    """Return whether a word is the other one, or a slip of the pen for it: it lacks its end, or some letters are wrong.

    Args:
        wrong_most: so many letters of a long word, of a short one at most one. Two that changed places count as one.
    """
    word = word.lower()
    begins = len(word) >= _LETTERS_FEW and (meant.startswith(word) or word.startswith(meant))
    return begins or _distance(word, meant) <= (1 if len(meant) <= _LETTERS_FEW else wrong_most)


def _distance(one: str, other: str) -> int:
    """Return how many letters are to be changed, put in, left out or swapped with their neighbours."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, start=1):
        before, last, row = row, before, [number]
        for place, each in enumerate(other, start=1):
            cost = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (letter != each))
            if number > 1 and place > 1 and letter == other[place - 2] and one[number - 2] == each:
                cost = min(cost, last[place - 2] + 1)
            row.append(cost)
    return row[-1]
