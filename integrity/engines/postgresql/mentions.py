"""Mentions: which names and operators a text of SQL holds, and how each stands there.

What a name means is asked of the server (reach.py). So it errs on one side only, as the tokens do: whatever the server
could take for the name of a function, an operator or a type is mentioned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from integrity.sql.tokens import Token, TokenKind, tokenize

_NOT_NAMED = frozenset({TokenKind.STRING, TokenKind.NUMBER, TokenKind.COMMENT})

_VALUES = frozenset(
    {
        "current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp",
        "current_user", "localtime", "localtimestamp", "session_user", "system_user", "user",
    }
)  # fmt: skip
"""Functions that are called without a parenthesis."""


class TokenUse(Enum):
    """How a name stands in the text.

    CALL: before a parenthesis. ATTRIBUTE: behind a dot, where PostgreSQL takes a function of one row for a column, too.
    FIELD: behind a dot and what may be a value of any kind, e.g. `(name).f`, where it takes any function of one argument.
    TYPE: behind `::` or `as`. NAME: anything else: a table, a type, a column, an alias.
    """

    CALL = "call"
    ATTRIBUTE = "attribute"
    FIELD = "field"
    TYPE = "type"
    NAME = "name"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Mention:
    """Something that a text names.

    Args:
        schema: empty: the search path says.
    """

    use: TokenUse
    schema: str
    name: str


@lru_cache(maxsize=4096)
def mentions_in(text: str) -> frozenset[Mention]:
    """Return every name and operator of the text, with the schema that stands before it."""
    tokens = naming_tokens(text)
    closing = _closing(tokens)
    of_values = _names_of_values(tokens, closing)
    has_treat = any(token.is_name and token.text == "treat" for token in tokens)
    found = set()
    for number, token in enumerate(tokens):
        before = tokens[max(0, number - 2) : number]
        is_behind_dot = bool(before) and before[-1].is_sign(".")
        schema = before[0].text if is_behind_dot and len(before) == 2 and before[0].is_name else ""
        is_called = number + 1 in closing and not _names_columns(tokens, number, closing)
        if token.kind is TokenKind.OPERATOR:
            found.add(Mention(TokenUse.OPERATOR, schema, "<>" if token.text == "!=" else token.text))
        elif token.is_name:
            found.add(Mention(TokenUse.CALL if is_called else TokenUse.NAME, schema, token.text))
            if is_behind_dot and not is_called:
                is_longer = number > 2 and tokens[number - 3].is_sign(".")
                is_of_table = bool(schema) and schema not in of_values and not is_longer
                found.add(Mention(TokenUse.ATTRIBUTE if is_of_table else TokenUse.FIELD, "", token.text))
            first = number - 2 if schema else number
            if first and tokens[first - 1].text in (":", "as"):
                found.add(Mention(TokenUse.TYPE, schema, token.text))
                if has_treat:  # treat (x as f) is f(x)
                    found.add(Mention(TokenUse.CALL, "pg_catalog", token.text))
    return frozenset(found)


def naming_tokens(text: str) -> tuple[Token, ...]:
    """Return what can name something, and the signs beside it."""
    return tuple(token for token in tokenize(text) if token.kind not in _NOT_NAMED)


def _closing(tokens: Sequence[Token]) -> dict[int, int]:
    """Return the place of each opening parenthesis -> that of the one that closes it, which may be the end of the text."""
    found: dict[int, int] = {}
    waiting: list[int] = []
    for number, token in enumerate(tokens):
        if token.is_sign("("):
            waiting.append(number)
            found[number] = len(tokens)
        elif token.is_sign(")") and waiting:
            found[waiting.pop()] = number
    return found


def _names_of_values(tokens: Sequence[Token], closing: dict[int, int]) -> frozenset[str]:
    """Return the names that a query may have for values of any kind: those of functions, and of what functions give.

    `unnest(names) as g` has a value a row, not a row of a table.
    """
    found = set()
    for opening, end in closing.items():
        is_query = opening + 1 < len(tokens) and tokens[opening + 1].text in ("select", "with", "values", "table")
        if opening and tokens[opening - 1].is_name and not is_query:
            found.add(tokens[opening - 1].text)
            behind = [token.text for token in tokens[end + 1 : end + 5]]
            found |= set([word for word in behind if word not in ("with", "ordinality", "as")][:1])
    for number, token in enumerate(tokens):
        if token.text in _VALUES:
            behind = [other.text for other in tokens[number + 1 : number + 5]]
            found |= {token.text, *[word for word in behind if word not in ("with", "ordinality", "as")][:1]}
    return frozenset(found)


def _names_columns(tokens: Sequence[Token], number: int, closing: dict[int, int]) -> bool:
    """Whether the parenthesis behind a name lists the columns of an alias, or of a query in a `with`; it is no call then.

    `as name (` never is a call; only the bare word is that `as`. `, f(x) as (a int)` is one, `with f (x) as (select ...` is
    none: what no list of columns with their types can begin with tells.
    """

    def is_word(place: int, *words: str) -> bool:
        return 0 <= place < len(tokens) and tokens[place].is_word(*words)

    if is_word(number - 1, "as") and not (number > 1 and tokens[number - 2].is_sign(".")):
        return True
    is_first = is_word(number - 1, "with", "recursive")
    place = closing[number + 1] + 1
    if not (is_first or (number and tokens[number - 1].is_sign(","))) or not is_word(place, "as"):
        return False
    place += 1
    while is_word(place, "not", "materialized"):
        place += 1
    if place >= len(tokens) or not tokens[place].is_sign("("):
        return False
    begins = ("select", "with", "table", *(["values"] if is_first else []))  # a column may be called values
    return is_word(place + 1, *begins) or (place + 1 < len(tokens) and tokens[place + 1].is_sign("("))
