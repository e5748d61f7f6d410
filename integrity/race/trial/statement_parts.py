"""Parts of a statement that keep calls apart, found in its text: a row lock, `on conflict`, guards of an update.

Statements are changed as text, at the places of their tokens, so that all else stays as it was written. What a statement is
and does is never concluded from its text (footprint.py looks); a rewrite only has to be a statement that the server takes.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlglot import exp

from integrity.sql.query import find_tree
from integrity.sql.tokens import Token, code_tokens

_JOINING = ("or", "case", "between")


@dataclass(frozen=True, slots=True)
class StatementPart:
    """A part of a statement's text, from `start` up to and without `end`."""

    sql: str
    start: int
    end: int

    @property
    def text(self) -> str:
        return " ".join(self.sql[self.start : self.end].split())

    def remove(self) -> str:
        """Return the statement without it."""
        before, after = self.sql[: self.start].rstrip(), self.sql[self.end :].lstrip()
        return f"{before} {after}".strip()


def find_row_lock(sql: str) -> StatementPart | None:
    """Return the clause `for update`, `for no key update`, `for share` or `for key share` with all that follows it."""
    tokens = code_tokens(sql)
    for number, token in enumerate(tokens):
        locks = any(later.is_word("update", "share") for later in tokens[number + 1 : number + 4])
        if token.is_word("for") and locks and _depth(tokens[:number]) == 0:
            return _part(sql, tokens[number:])
    return None


def find_on_conflict(sql: str) -> StatementPart | None:
    """Return the clause `on conflict ...`, up to `returning`."""
    tokens = code_tokens(sql)
    for number, token in enumerate(tokens[:-1]):
        if token.is_word("on") and tokens[number + 1].is_word("conflict"):
            return _part(sql, _up_to_returning(tokens[number:]))
    return None


def find_guards(sql: str, *, keys: AbstractSet[str]) -> list[StatementPart]:
    """Return the conditions of an update or delete that decide whether it acts, each with its `and`.

    Only where that is plain to see: the where clause is conditions joined by `and`, and at least one of them names the row
    by a key column and a parameter; those are not returned.

    Args:
        keys: columns that are keys.
    """
    tokens = code_tokens(sql)
    if not tokens or not tokens[0].is_word("update", "delete"):
        return []
    start = next((n for n, token in enumerate(tokens) if token.is_word("where") and _depth(tokens[:n]) == 0), None)
    if start is None:
        return []
    clause = _up_to_returning(tokens[start + 1 :])
    if any(token.is_word(*_JOINING) for token in clause):
        return []
    conditions = list(_split_at_and(clause))
    is_key = [_names_key(condition, keys) for condition in conditions]
    if True not in is_key:
        return []
    guards = []
    for number, condition in enumerate(conditions):
        if not is_key[number] and condition:
            start_with_and = clause.index(condition[0]) - 1
            with_and = [clause[start_with_and], *condition] if number else [*condition, clause[len(condition)]]
            guards.append(_part(sql, with_and))
    return guards


def lock_rows(sql: str) -> str | None:
    """Return a plain select of one table with `for update`; None for any other statement."""
    tree = find_tree(sql)
    if not isinstance(tree, exp.Select) or len(list(tree.find_all(exp.Table))) != 1:
        return None
    if any(tree.args.get(name) for name in ("group", "having", "distinct", "locks", "with", "with_", "windows")):
        return None
    if any(tree.find_all(exp.AggFunc, exp.Window, exp.Subquery, exp.Exists)):
        return None
    return f"{sql.strip().rstrip(';')} for update"


def _depth(tokens: Sequence[Token]) -> int:
    return sum(token.is_sign("(") - token.is_sign(")") for token in tokens)


def _up_to_returning(tokens: Sequence[Token]) -> Sequence[Token]:
    for number, token in enumerate(tokens):
        if token.is_word("returning") and _depth(tokens[:number]) == 0:
            return tokens[:number]
    return tokens


def _split_at_and(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    condition: list[Token] = []
    for token in tokens:
        if token.is_word("and") and _depth(condition) == 0:
            yield condition
            condition = []
        else:
            condition.append(token)
    yield condition


def _names_key(condition: list[Token], keys: AbstractSet[str]) -> bool:
    """Return whether it is `column = :parameter`, the column a key."""
    texts = [token.text for token in condition]
    return len(texts) >= 4 and texts[-4] in keys and texts[-3:-1] == ["=", ":"] and "(" not in texts


def _part(sql: str, tokens: Sequence[Token]) -> StatementPart:
    return StatementPart(sql, tokens[0].start, tokens[-1].end)
