"""Tokens: SQL text cut up as PostgreSQL's own lexer cuts it; whoever has to know what stands in a text asks here.

Not a parser. It errs on one side only: whatever the server could take for a name is one here, and nothing that it executes
passes for a string or a comment. Strings are read with standard_conforming_strings on, as all sessions of ours have it. A
quote that is not closed is a sign, and the text goes on behind it; so no text is refused.
"""

import re
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

NAME_BYTES_MOST = 63
NAME_CHARACTERS_SURE = NAME_BYTES_MOST // 4  # a character has four bytes at most


class TokenKind(Enum):
    """WORD: a name without quotes, or a key word. NAME: a name in quotes. SIGN: one character of anything else."""

    WORD = "word"
    NAME = "name"
    STRING = "string"
    NUMBER = "number"
    OPERATOR = "operator"
    COMMENT = "comment"
    SIGN = "sign"


class Token(NamedTuple):
    """A piece of a text, from `start` up to and without `end`.

    Args:
        text: as it stands there, but for words and names: those as the catalogue spells them.
    """

    kind: TokenKind
    text: str
    start: int
    end: int

    @property
    def is_name(self) -> bool:
        """Whether it may name something."""
        return self.kind is TokenKind.WORD or self.kind is TokenKind.NAME

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these words."""
        return self.kind is TokenKind.WORD and self.text in words

    def is_sign(self, *signs: str) -> bool:
        """Whether it is one of these characters."""
        return self.kind is TokenKind.SIGN and self.text in signs


# A letter is whatever is none of ASCII's other signs. Said by what it is, each class takes milliseconds to compile.
_NO_LETTER = r"\x00-@\[-^`{-\x7f"
_NO_LETTER_OR_DIGIT = r"\x00-/:-@\[-^`{-\x7f"
_IN_NO_WORD = r"\x00-\#%-/:-@\[-^`{-\x7f"  # behind a word's first letter a $ may stand
_BLANKS = r"[ \t\n\r\f\v]"
_ESCAPED = r"'(?:[^'\\]|''|\\[\s\S])*'"  # and it goes on behind a line break, as do its escapes
_PIECE = re.compile(
    rf"""
    {_BLANKS}*(?:
      (?P<plain>   (?![eEbBxXnN]'|[uU]&['"])[^{_NO_LETTER}][^{_IN_NO_WORD}]* )
    | (?P<comment> --[^\n\r]* | (?P<open>/\*) )
    | (?P<string>  [eE]{_ESCAPED}(?:(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:{_BLANKS}|--[^\n\r]*[\n\r])*{_ESCAPED})*
                 | (?:[bBxXnN]|[uU]&)?'[^']*'(?:'[^']*')* | (?P<tag>\$(?:[^{_NO_LETTER}][^{_NO_LETTER_OR_DIGIT}]*)?\$) )
    | (?P<name>    (?P<unicode>[uU]&)?"(?P<quoted>[^"]*(?:""[^"]*)*)" )
    | (?P<word>    [^{_NO_LETTER}][^{_IN_NO_WORD}]* )
    | (?P<number>  \d+(?:_\d+)*(?:\.\d+)?(?:[eE][+-]?\d+)? )
    | (?P<operator>[~!@\#^&|`?+\-*/%<>=]+ )
    | (?P<sign>    [\s\S] )
    | \Z )
    """,
    re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_BARE_SIGN = re.compile(r"[~!@#^&|`?%]")
_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


@lru_cache(maxsize=256)
def tokenize(text: str) -> tuple[Token, ...]:
    """Return all of the text but its blanks, in its order."""
    tokens: list[Token] = []
    place, length, match_at, word = 0, len(text), _PIECE.match, TokenKind.WORD
    while place < length and (match := match_at(text, place)):
        place, group = match.end(), match.lastgroup
        if group is None:  # nothing but blanks
            break
        if group in ("plain", "word"):  # the first is what most are: what begins like no string is a word
            written = match[group]
            start = place - len(written)
            name = written if written.islower() else written.translate(_ASCII_LOWER)
            tokens.append(Token(word, name if len(name) <= NAME_CHARACTERS_SURE else cut_name(name), start, place))
            continue
        start = match.start(group)
        if group == "name":
            name = match["quoted"].replace('""', '"')
            if match["unicode"]:
                escape, place = _escape_character(text, place)
                name = _decode(name, escape)
            tokens.append(Token(TokenKind.NAME, cut_name(name), start, place))
            continue
        if match["open"]:
            place = _end_of_comment(text, start)
        elif match["tag"]:
            end = text.find(match["tag"], place)
            place = end + len(match["tag"]) if end >= 0 else length
        elif group == "operator":
            place = start + _operator_length(match[group])
        tokens.append(Token(_KINDS[group], text[start:place], start, place))
    return tuple(tokens)


_KINDS = {kind.value: kind for kind in TokenKind}


def code_tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens but for comments."""
    return tuple([token for token in tokenize(text) if token.kind is not TokenKind.COMMENT])


def spliced(text: str, edits: Iterable[tuple[Token, str]]) -> str:
    """Return the text with other words in place of some of its tokens, which come in its order."""
    pieces, place = [], 0
    for token, words in edits:
        pieces += [text[place : token.start], words]
        place = token.end
    return "".join([*pieces, text[place:]])


def without_semicolon(text: str) -> str:
    """Return the text up to the semicolon that ends it, so that it can stand inside another statement."""
    if ";" not in text:
        return text
    end = next((token.start for token in tokenize(text) if token.is_sign(";")), len(text))
    return text[:end]


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
    word = _match_code(text, place)
    if word and (word["plain"] or "").lower() == "uescape":
        string = _match_code(text, word.end())
        if string and string["string"] and len(string["string"]) == 3:
            return string["string"][1], string.end()
    return "\\", place


def _match_code(text: str, place: int) -> re.Match[str] | None:
    """Return the next piece that is no comment."""
    while (match := _PIECE.match(text, place)) and match["comment"]:
        place = _end_of_comment(text, match.start("open")) if match["open"] else match.end()
    return match


def _operator_length(characters: str) -> int:
    """Return how long the operator is that begins here: no comment, and no sign that belongs to what follows."""
    for comment in ("--", "/*"):
        if (place := characters.find(comment)) > 0:
            characters = characters[:place]
    while len(characters) > 1 and characters[-1] in "+-" and not _BARE_SIGN.search(characters):
        characters = characters[:-1]
    return len(characters)


def _decode(name: str, escape: str) -> str:
    """Return a name with its Unicode escapes replaced."""
    character = re.escape(escape)

    def replace(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return escape if code is None else chr(min(int(code, 16), 0x10FFFF))

    decoded = re.sub(rf"{character}(?:\+([0-9A-Fa-f]{{6}})|([0-9A-Fa-f]{{4}})|{character})", replace, name)
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def cut_name(name: str) -> str:
    """Return what the server keeps of a name: its first bytes."""
    if len(name) <= NAME_CHARACTERS_SURE:
        return name
    return name.encode(errors="replace")[:NAME_BYTES_MOST].decode(errors="ignore")
