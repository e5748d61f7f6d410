"""The statements of a text, as the server takes them one by one."""

from collections.abc import Sequence
from functools import lru_cache

from integrity.sql.tokens import Token, TokenKind, tokenize


@lru_cache(maxsize=4096)
def split_statements(sql: str) -> tuple[str, ...]:
    """Return the statements, cut at the semicolons that stand outside strings, comments, brackets and bodies."""
    found: list[str] = []
    start = depth = 0
    tokens = tokenize(sql)
    for place, token in enumerate(tokens):
        depth = _depth_behind(depth, tokens, place)
        if token.is_sign(";") and depth == 0:
            found.append(sql[start : token.start])
            start = token.end
    found.append(sql[start:])
    return tuple(each.strip() for each in found if any(t.kind is not TokenKind.COMMENT for t in tokenize(each)))


def _depth_behind(depth: int, tokens: Sequence[Token], place: int) -> int:
    """Return how deep in brackets, or in `begin atomic ... end` of a function's body, the text is behind a token."""
    token = tokens[place]
    if token.is_sign("("):
        return depth + 1
    if token.is_sign(")"):
        return max(0, depth - 1)
    if token.is_word("atomic") and place and tokens[place - 1].is_word("begin"):
        return depth + 1
    if depth and token.is_word("case"):
        return depth + 1
    if depth and token.is_word("end"):
        return depth - 1
    return depth
