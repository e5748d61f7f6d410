r"""The text below a header in the pieces that psql takes it in: commands, up to `;` or `\\gset`, its own commands, notes.

    select balance_minor from wallets where id = :wallet_id \\gset
    -- decline insufficient_balance unless balance_minor >= :amount_minor

A note is a comment that stands between commands; what it says is left to others, and so is what a command does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from integrity.sql.header import TextFault, header_length
from integrity.sql.place import place_of
from integrity.sql.tokens import Token, TokenKind, tokenize

_GSET = re.compile(r"gset(?:[ \t]+(?P<prefix>[A-Za-z_]\w*))?")
_DEPTHS = {"(": 1, "[": 1, ")": -1, "]": -1}


class Kind(Enum):
    """A statement; a command of psql's own, without its backslash; a comment between them."""

    COMMAND = "command"
    META = "meta"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece.

    Args:
        text: without what ends it.
        start: where it begins in the whole text.
        prefix: of a command whose row is kept (`\\gset p_`), what the columns' names get in front; None: it is not.
    """

    kind: Kind
    text: str
    start: int
    prefix: str | None = None


def fault_at(text: str, offset: int, reason: str, *, hint: str | None = None) -> TextFault:
    """Return what is wrong with a text at an offset."""
    line, column = place_of(text, offset)
    return TextFault(reason, line, column=column, hint=hint)


def read_pieces(text: str) -> Iterator[Piece]:
    """Yield what stands below the header, in order.

    Raises:
        TextFault: a command is not ended, a bracket is not closed, a command of psql's is misplaced.
    """
    lines = text.splitlines(keepends=True)
    at = sum(map(len, lines[: header_length(lines)]))
    start: int | None = None  # of the command that is open
    depth = 0
    for token in tokenize(text):
        if token.start < at:
            continue
        is_meta = token.is_sign("\\")
        line_end = (text.find("\n", token.start) + 1 or len(text) + 1) - 1
        if start is None and token.kind is TokenKind.COMMENT:
            yield Piece(Kind.NOTE, token.text.rstrip(), token.start)
        elif start is None and is_meta:
            yield Piece(Kind.META, text[token.end : line_end].strip(), token.start)
        elif start is not None and (is_meta or (token.is_sign(";") and not depth)):
            prefix = _prefix(text, token, text[token.end : line_end].strip()) if is_meta else None
            yield Piece(Kind.COMMAND, text[start : token.start].rstrip(), start, prefix)
            start, depth = None, 0
        elif start is not None or not token.is_sign(";"):
            start = token.start if start is None else start
            depth = max(0, depth + _DEPTHS.get(token.text, 0)) if token.kind is TokenKind.SIGN else depth
        at = line_end if is_meta else at
    if start is not None:
        reason = "a bracket is opened and not closed" if depth else "the statement is not ended"
        raise fault_at(text, start, reason, hint="A statement ends with a semicolon, or with \\gset.")


def _prefix(text: str, backslash: Token, said: str) -> str:
    """Return the prefix that a command's end gives to the columns of its row."""
    gset = _GSET.fullmatch(said)
    if gset is None:
        hint = "A statement ends with ; or with \\gset, alone at the end of its line or with a prefix behind it."
        raise fault_at(text, backslash.start, f"\\{said} within a statement", hint=hint)
    return gset["prefix"] or ""
