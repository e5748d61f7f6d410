"""What a scan asks, in PostgreSQL's words.

What a role's search_path finds is not asked: every name is PostgreSQL's own, types by keyword or by their schema.
"""

from integrity.engines.scan import WEIGHT_BITS, Answer, NullCount, RowCount, WeightedSum, count_of, in_words

# hashint8extended folds a bigint's halves onto each other: 1 and 2^32 have one hash whatever the seed. With the upper half
# in the seed they have two.
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


def spell(answer: Answer) -> str:
    """Return the aggregate expression."""
    match answer:
        case RowCount():
            return count_of(answer)
        case WeightedSum():
            weight = str(answer.seed)
            for key in answer.keys:  # the hash of one column seeds that of the next
                weight = _HASHES[key.type].format(key=in_words(key.column), seed=weight)
            weight = f"({weight} operator(pg_catalog.&) {2**WEIGHT_BITS - 1})"
            kept = f" filter (where {in_words(answer.condition)})" if answer.condition is not None else ""
            return f"pg_catalog.sum(({in_words(answer.value)}) operator(pg_catalog.*) {weight}){kept}"
        case NullCount():
            is_null = " or ".join(f"({in_words(expression)}) is null" for expression in answer.expressions)
            if answer.condition is not None:
                is_null = f"({in_words(answer.condition)}) and ({is_null})"
            return f"pg_catalog.count(*) filter (where {is_null})"
