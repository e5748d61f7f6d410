"""Proofs: what, if it comes out as it must, shows that an invariant's query returns no rows, without running it.

A proof that fails decides nothing: the query then does. So a proof may be stricter than the invariant, never weaker.

- NoRow: no row of a table is one for which the predicate is true.
- Balance: two tables agree, key by key, on a sum; shown by fingerprints. Each side adds up value times weight(key) with
  the same random weights; were any key's sums different, the two totals would be the same with a chance of 2^-62 (two
  weights of 31 bits, each drawn anew by every audit). It sees a +1 and a -1 that cancel in a plain sum.
- Unique: a unique index that the server keeps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlglot import exp

from integrity.engines.facts import Column
from integrity.engines.scan import Answer, HashKey, NullCount, Source, WeightedSum, Words


@dataclass(frozen=True, slots=True)
class NoRow:
    """No row of the source makes the predicate true.

    Args:
        predicate: over the source.
        is_whole: the predicate is the whole invariant: the rows that make it true are the violations, one each.
    """

    source: Source
    predicate: Words | exp.Expr
    is_whole: bool


@dataclass(frozen=True, slots=True)
class BalanceKey:
    """One column of a key, as a side of a balance spells it, its type and its collation."""

    column: exp.Expr
    type: str
    collation: int = 0


@dataclass(frozen=True, slots=True)
class BalanceSide:
    """One side of a balance: a value and a key a row.

    Args:
        value: an integer or numeric expression.
        keys: the columns of the key; a row with a null in one has no key and counts for nothing.
        condition: which rows count; None: all.
        nothing_null: expressions that must not be null in any row that counts: a null would hide what the query shows.
    """

    source: Source
    value: exp.Expr
    keys: tuple[BalanceKey, ...]
    condition: exp.Expr | None
    nothing_null: tuple[exp.Expr, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """The left side's sums equal the right side's, for every key; without a right side, all are zero."""

    left: BalanceSide
    right: BalanceSide | None


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique index of the table shows it."""

    index: str


Proof = NoRow | Balance | Unique


def has_same_equality(left: Column | BalanceKey, right: Column | BalanceKey) -> bool:
    """Whether `left = right` is what each side's own index and hash call equal.

    As double precision two bigints are one, and to another's collation two texts: a key that is unique is so no more.
    """
    kinds = {"int2": "int", "int4": "int", "int8": "int", "varchar": "text"}
    return kinds.get(left.type, left.type) == kinds.get(right.type, right.type) and left.collation == right.collation


def fingerprint_of(side: BalanceSide, seeds: Sequence[int]) -> list[Answer]:
    """Return what a scan is asked: one sum a seed, and last the count of rows that hold a null they must not."""
    keys = tuple(HashKey(key.column, key.type) for key in side.keys)
    answers: list[Answer] = [WeightedSum(side.value, keys, side.condition, seed) for seed in seeds]
    return [*answers, NullCount(side.nothing_null, side.condition)] if side.nothing_null else answers


def fingerprints_agree(left: Sequence[Any], right: Sequence[Any] | None, seed_count: int) -> bool:
    """Whether the totals of the two sides' columns, as `fingerprint_of` asked for them, show that they balance."""
    if any(left[seed_count:]) or any((right or ())[seed_count:]):
        return False
    totals = [Decimal(total or 0) for total in left[:seed_count]]
    others = [Decimal(total or 0) for total in right[:seed_count]] if right is not None else [Decimal(0)] * seed_count
    return all(
        total.is_finite() and other.is_finite() and total == other for total, other in zip(totals, others, strict=True)
    )
