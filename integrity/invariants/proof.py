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

from integrity.engines.facts import Column

WEIGHT_BITS = 31  # a value of up to 2^32 times a weight fits a bigint; more overflows, loudly, and the query decides

# hashint8extended folds a bigint's halves onto each other: 1 and 2^32 have one hash whatever the seed. With the upper half
# in the seed they have two.
# What a role's search_path finds is not asked: every name is PostgreSQL's own, types by keyword or by their schema.
_INTEGER = (
    "pg_catalog.hashint8extended(cast({key} as bigint), "
    "(cast({key} as bigint) operator(pg_catalog.>>) 32) operator(pg_catalog.#) {seed})"
)
_TEXT = "pg_catalog.hashtextextended(cast({key} as pg_catalog.text), {seed})"
_HASHES = {
    **dict.fromkeys(("int2", "int4", "int8"), _INTEGER),
    "uuid": "pg_catalog.uuid_hash_extended({key}, {seed})",
    **dict.fromkeys(("text", "varchar"), _TEXT),
}
HASHED_TYPES = frozenset(_HASHES)


@dataclass(frozen=True, slots=True)
class NoRow:
    """No row of the source makes the predicate true.

    Args:
        source: a from clause.
        predicate: over the source, with the file's `:name` parameters.
        is_whole: the predicate is the whole invariant: the rows that make it true are the violations, one each.
    """

    source: str
    predicate: str
    is_whole: bool


@dataclass(frozen=True, slots=True)
class BalanceKey:
    """One column of a key, as a side of a balance spells it, its type and its collation."""

    column: str
    type: str
    collation: int = 0


@dataclass(frozen=True, slots=True)
class BalanceSide:
    """One side of a balance: a value and a key a row.

    Args:
        source: a from clause.
        value: an integer or numeric expression.
        keys: the columns of the key; a row with a null in one has no key and counts for nothing.
        condition: which rows count; empty: all.
        nothing_null: expressions that must not be null in any row that counts: a null would hide what the query shows.
    """

    source: str
    value: str
    keys: tuple[BalanceKey, ...]
    condition: str
    nothing_null: tuple[str, ...]


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


def fingerprint_columns(side: BalanceSide, seeds: Sequence[int]) -> list[str]:
    """Return aggregate expressions: one sum a seed, and last the count of rows that hold a null they must not."""
    condition = f" filter (where {side.condition})" if side.condition else ""
    columns = []
    for seed in seeds:
        weight = str(seed)
        for key in side.keys:  # the hash of one column seeds that of the next
            weight = _HASHES[key.type].format(key=key.column, seed=weight)
        weight = f"({weight} operator(pg_catalog.&) {2**WEIGHT_BITS - 1})"
        columns.append(f"pg_catalog.sum(({side.value}) operator(pg_catalog.*) {weight}){condition}")
    if side.nothing_null:
        is_null = " or ".join(f"({expression}) is null" for expression in side.nothing_null)
        counted = f"({side.condition}) and ({is_null})" if side.condition else is_null
        columns.append(f"pg_catalog.count(*) filter (where {counted})")
    return columns


def fingerprints_agree(left: Sequence[Any], right: Sequence[Any] | None, seed_count: int) -> bool:
    """Whether the totals of the two sides' columns, as `fingerprint_columns` asked for them, show that they balance."""
    if any(left[seed_count:]) or any((right or ())[seed_count:]):
        return False
    totals = [Decimal(total or 0) for total in left[:seed_count]]
    others = [Decimal(total or 0) for total in right[:seed_count]] if right is not None else [Decimal(0)] * seed_count
    return all(
        total.is_finite() and other.is_finite() and total == other for total, other in zip(totals, others, strict=True)
    )
