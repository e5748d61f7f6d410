"""What clients do in a serial pass, cut into transactions."""

import pytest

from integrity.race.gated.postgresql.scribe import Spoken, Transaction, kind_of, parts_of

TAGS = {"savepoint": "SAVEPOINT", "release": "RELEASE", "rollback": "ROLLBACK", "begin": "BEGIN"}


def rolled_back(*texts: str) -> Transaction:
    spoken = tuple(Spoken(text, tag=TAGS.get(text.split()[0], "UPDATE 1"), at_ns=at) for at, text in enumerate(texts))
    return Transaction(3, "shop", (), (), spoken, is_committed=False, ended_ns=99)


@pytest.mark.parametrize(
    ("texts", "parts"),
    [
        (("begin", "u1", "rollback"), []),
        (("begin", "u1", "savepoint a", "u2", "release savepoint a", "rollback"), [("u1", "u2", 4)]),
        (("begin", 'savepoint "t"', "u1", "savepoint b", "u2", "release b", "rollback to t", "release t", "rollback"),
         [("savepoint u1", "u2", 5)]),
        (("begin", "savepoint a", "u1", "savepoint b", "u2", "release b", "u3", "release a", "rollback"),
         [("", "u1 savepoint u2 release u3", 7)]),
        (("begin", "savepoint a", "u1", "release a", "savepoint a", "u2", "release a", "rollback"),
         [("", "u1", 3), ("savepoint u1 release", "u2", 6)]),
    ],
)  # fmt: skip
def test_what_is_released_within_what_is_rolled_back_is_a_transaction_of_its_own(
    texts: tuple[str, ...], parts: list[tuple[str, str, int]]
) -> None:
    found = parts_of(rolled_back(*texts))
    assert [
        (
            " ".join(each.text.split()[0] for each in part.before),
            " ".join(each.text.split()[0] for each in part.statements[1:-1]),
            part.ended_ns,
        )
        for part in found
    ] == parts
    assert all(part.is_committed for part in found)


def test_transactions_that_differ_in_values_only_are_of_one_kind() -> None:
    one, other, third = (
        kind_of(rolled_back("begin", text)) for text in ("u set n = 1, t = 'x'", "u set n = 22,  t = 'y'", "u set m = 1")
    )
    assert one == other != third
