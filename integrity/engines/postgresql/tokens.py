"""Tokens: which names and operators a text of SQL holds, as PostgreSQL's own lexer reads it.

Not a parser: what a name means is asked of the server (reach.py). So it errs on one side only: whatever the server could
take for a name is one here, and nothing that it executes passes for a string or a comment. Strings are read with
standard_conforming_strings on, as all sessions of ours have it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

NAME_BYTES_MOST = 63

# A letter is whatever is none of ASCII's other signs. Said by what it is, each class takes milliseconds to compile.
_NO_LETTER = r"\x00-@\[-^`{-\x7f"
_NO_LETTER_OR_DIGIT = r"\x00-/:-@\[-^`{-\x7f"
_SPACE = re.compile(r"[ \t\n\r\f\v]+|--[^\n\r]*")
_NAME = re.compile(rf"[^{_NO_LETTER}](?:[^{_NO_LETTER_OR_DIGIT}]|\$)*")
_QUOTED_NAME = re.compile(r'([uU]&)?"((?:[^"]|"")*)"')
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_STRING = re.compile(r"(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'")
_ESCAPED_STRING = re.compile(r"[eE]'(?:[^'\\]|''|\\.)*'", re.DOTALL)
# A string goes on behind a line break, and so do its escapes.
_MORE_STRING = re.compile(
    r"(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'(?:[^'\\]|''|\\.)*'", re.DOTALL
)
_DOLLAR_QUOTE = re.compile(rf"\$(?:[^{_NO_LETTER}][^{_NO_LETTER_OR_DIGIT}]*)?\$")
_NUMBER = re.compile(r"\d+(?:_\d+)*(?:\.\d+)?(?:[eE][+-]?\d+)?")
_OPERATOR = re.compile(r"[~!@#^&|`?+\-*/%<>=]+")
_BARE_SIGN = re.compile(r"[~!@#^&|`?%]")
_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


_VALUES = frozenset(
    {
        "current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp",
        "current_user", "localtime", "localtimestamp", "session_user", "system_user", "user",
    }
)  # fmt: skip
"""Functions that are called without a parenthesis."""


class TokenKind(Enum):
    NAME = "name"
    OPERATOR = "operator"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Token:
    """A name as the catalogue spells it, an operator, or one character of something else.

    Args:
        start: where it begins in the text, from 0.
    """

    kind: TokenKind
    text: str
    start: int


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
    tokens = list(tokenize(text))
    closing = _closing(tokens)
    of_values = _names_of_values(tokens, closing)
    has_treat = any(token.kind is TokenKind.NAME and token.text == "treat" for token in tokens)
    found = set()
    for number, token in enumerate(tokens):
        before = tokens[max(0, number - 2) : number]
        is_behind_dot = bool(before) and _is(before[-1], ".")
        schema = before[0].text if is_behind_dot and len(before) == 2 and before[0].kind is TokenKind.NAME else ""
        is_called = number + 1 in closing and not _names_columns(text, tokens, number, closing)
        if token.kind is TokenKind.OPERATOR:
            found.add(Mention(TokenUse.OPERATOR, schema, "<>" if token.text == "!=" else token.text))
        elif token.kind is TokenKind.NAME:
            found.add(Mention(TokenUse.CALL if is_called else TokenUse.NAME, schema, token.text))
            if is_behind_dot and not is_called:
                is_of_table = bool(schema) and schema not in of_values and not (number > 2 and _is(tokens[number - 3], "."))
                found.add(Mention(TokenUse.ATTRIBUTE if is_of_table else TokenUse.FIELD, "", token.text))
            first = number - 2 if schema else number
            if first and tokens[first - 1].text in (":", "as"):
                found.add(Mention(TokenUse.TYPE, schema, token.text))
                if has_treat:  # treat (x as f) is f(x)
                    found.add(Mention(TokenUse.CALL, "pg_catalog", token.text))
    return frozenset(found)


def _closing(tokens: list[Token]) -> dict[int, int]:
    """Return the place of each opening parenthesis -> that of the one that closes it, which may be the end of the text."""
    found: dict[int, int] = {}
    waiting: list[int] = []
    for number, token in enumerate(tokens):
        if _is(token, "("):
            waiting.append(number)
            found[number] = len(tokens)
        elif _is(token, ")") and waiting:
            found[waiting.pop()] = number
    return found


def _names_of_values(tokens: list[Token], closing: dict[int, int]) -> frozenset[str]:
    """Return the names that a query may have for values of any kind: those of functions, and of what functions give.

    `unnest(names) as g` has a value a row, not a row of a table.
    """
    found = set()
    for opening, end in closing.items():
        is_query = opening + 1 < len(tokens) and tokens[opening + 1].text in ("select", "with", "values", "table")
        if opening and tokens[opening - 1].kind is TokenKind.NAME and not is_query:
            found.add(tokens[opening - 1].text)
            behind = [token.text for token in tokens[end + 1 : end + 5]]
            found |= set([word for word in behind if word not in ("with", "ordinality", "as")][:1])
    for number, token in enumerate(tokens):
        if token.text in _VALUES:
            behind = [other.text for other in tokens[number + 1 : number + 5]]
            found |= {token.text, *[word for word in behind if word not in ("with", "ordinality", "as")][:1]}
    return frozenset(found)


def _names_columns(text: str, tokens: list[Token], number: int, closing: dict[int, int]) -> bool:
    """Whether the parenthesis behind a name lists the columns of an alias, or of a query in a `with`; it is no call then.

    `as name (` never is a call; only the bare word is that `as`. `, f(x) as (a int)` is one, `with f (x) as (select ...` is
    none: what no list of columns with their types can begin with tells.
    """

    def is_word(place: int, *words: str) -> bool:
        return 0 <= place < len(tokens) and tokens[place].text in words and text[tokens[place].start].lower() in "acmnrstvw"

    if is_word(number - 1, "as") and not (number > 1 and _is(tokens[number - 2], ".")):
        return True
    is_first = is_word(number - 1, "with", "recursive")
    place = closing[number + 1] + 1
    if not (is_first or (number and _is(tokens[number - 1], ","))) or not is_word(place, "as"):
        return False
    place += 1
    while is_word(place, "not", "materialized"):
        place += 1
    if place >= len(tokens) or not _is(tokens[place], "("):
        return False
    begins = ("select", "with", "table", *(["values"] if is_first else []))  # a column may be called values
    return is_word(place + 1, *begins) or (place + 1 < len(tokens) and _is(tokens[place + 1], "("))


def _is(token: Token, character: str) -> bool:
    return token.kind is TokenKind.OTHER and token.text == character


def tokenize(text: str) -> Iterator[Token]:
    """Yield the text's tokens, without strings, numbers and comments."""
    place = 0
    while place < len(text):
        if (behind := _skip(text, place)) > place:
            place = behind
        elif match := _ESCAPED_STRING.match(text, place):
            place = match.end()
            while more := _MORE_STRING.match(text, place):
                place = more.end()
        elif match := _STRING.match(text, place):
            place = match.end()
        elif match := _QUOTED_NAME.match(text, place):
            name, place = match[2].replace('""', '"'), match.end()
            if match[1]:
                escape, place = _escape_character(text, place)
                name = _decode(name, escape)
            yield Token(TokenKind.NAME, _cut(name), match.start())
        elif match := _DOLLAR_QUOTE.match(text, place):
            end = text.find(match[0], match.end())
            place = end + len(match[0]) if end >= 0 else len(text)
        elif match := _NAME.match(text, place):
            yield Token(TokenKind.NAME, _cut(match[0].translate(_ASCII_LOWER)), place)
            place = match.end()
        elif match := _NUMBER.match(text, place):
            place = match.end()
        elif match := _OPERATOR.match(text, place):
            operator = _operator(match[0])
            yield Token(TokenKind.OPERATOR, operator, place)
            place += len(operator)
        else:
            yield Token(TokenKind.OTHER, text[place], place)
            place += 1


def _skip(text: str, place: int) -> int:
    """Return the place behind the blanks and comments that begin here."""
    while True:
        if match := _SPACE.match(text, place):
            place = match.end()
        elif text.startswith("/*", place):
            place = _end_of_comment(text, place)
        else:
            return place


def _end_of_comment(text: str, start: int) -> int:
    """Return where a comment ends, which may hold others."""
    depth = 0
    for match in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if match[0] == "/*" else -1
        if not depth:
            return match.end()
    return len(text)


def _escape_character(text: str, place: int) -> tuple[str, int]:
    """Return what stands for the backslash in the quoted name that ends here, and the place behind that clause."""
    word = _NAME.match(text, _skip(text, place))
    if word and word[0].lower() == "uescape":
        string = _STRING.match(text, _skip(text, word.end()))
        if string and len(string[0]) == 3:
            return string[0][1], string.end()
    return "\\", place


def _operator(characters: str) -> str:
    """Return the operator that the characters begin with: no comment, and no sign that belongs to what follows."""
    for comment in ("--", "/*"):
        if (place := characters.find(comment)) > 0:
            characters = characters[:place]
    while len(characters) > 1 and characters[-1] in "+-" and not _BARE_SIGN.search(characters):
        characters = characters[:-1]
    return characters


def _decode(name: str, escape: str) -> str:
    """Return a name with its Unicode escapes replaced."""
    character = re.escape(escape)

    def replace(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return escape if code is None else chr(min(int(code, 16), 0x10FFFF))

    decoded = re.sub(rf"{character}(?:\+([0-9A-Fa-f]{{6}})|([0-9A-Fa-f]{{4}})|{character})", replace, name)
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _cut(name: str) -> str:
    """Return what the server keeps of a name."""
    return name.encode(errors="replace")[:NAME_BYTES_MOST].decode(errors="ignore")
