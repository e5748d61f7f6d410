"""The query of a SQL file, as the parser sees it: one read-only select, and its syntax tree.

A query that the parser does not know is no fault of the file: it has no tree, and the server is the judge of its own SQL.
This is all that imports the parser for a file; file.py comes here when it has to.
"""

import logging
import re
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from integrity.sql.header import TextFault
from integrity.sql.place import place_of
from integrity.sql.tokens import code_tokens

_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.DDL, exp.Command, exp.Copy, exp.Into, exp.Lock)
_WRITING_WORDS = {
    exp.Insert: "insert", exp.Update: "update", exp.Delete: "delete", exp.Merge: "merge", exp.Copy: "copy",
    exp.Into: "into", exp.Lock: "for",
}  # fmt: skip

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns about what we refuse with a better message


def check_query(text: str) -> None:
    """Check that a file's text is one read-only select, as far as the parser knows it.

    Raises:
        TextFault: it is not.
    """
    try:
        trees = [tree for tree in sqlglot.parse(text, read="postgres") if tree is not None]
    except _UNKNOWN_TO_THE_PARSER as error:
        _check_unknown(text, error)
        return
    if not trees or all(isinstance(tree, exp.Semicolon) for tree in trees):
        raise TextFault("no query below the header", text.count("\n") + 1)
    _check_single(text)
    tree = trees[0]
    written = next((node for node in tree.walk() if isinstance(node, _WRITES)), None)
    if written is not None or not isinstance(tree, exp.Query | exp.Values):
        word = next((_WRITING_WORDS[kind] for kind in _WRITING_WORDS if isinstance(written, kind)), "")
        line, column, found = _find_word(text, word)
        hint = "The query selects the rows that violate, and changes and locks nothing."
        raise TextFault(f"not one read-only select: {found!r}", line, column=column, hint=hint)


def _check_unknown(text: str, error: Exception) -> None:
    """Check what can be told without a tree; the server's read-only transaction takes one select and no other statement."""
    if isinstance(error, TokenError):
        return
    tokens = code_tokens(text)
    if tokens and tokens[0].text not in _FIRST_WORDS and isinstance(error, ParseError):
        first = error.errors[0]
        line, column = int(first["line"]), int(first["col"]) - len(first["highlight"]) + 1  # sqlglot counts to its end
        reason = f"syntax error at or near {first['highlight']!r}"
        raise TextFault(reason, line, column=column, hint=_explain(first["description"]))
    _check_single(text)


_FIRST_WORDS = ("select", "with", "(", "table", "values")


def _check_single(text: str) -> None:
    tokens = code_tokens(text)
    first = next((number for number, token in enumerate(tokens) if token.is_sign(";")), None)
    if first is not None and not all(token.is_sign(";") for token in tokens[first:]):
        line, column = place_of(text, tokens[first].start)
        raise TextFault("more than one statement", line, column=column, hint="One question a file: split it in two.")


def parse_query(text: str) -> exp.Query:
    """Return the syntax tree of a text that the parser knows; shared, so never to be changed."""
    tree = find_query(text)
    assert tree is not None, text
    return tree


@lru_cache(maxsize=4096)
def find_query(text: str) -> exp.Query | None:
    """Return the syntax tree of a text that was checked before, None where the parser does not know it. Shared.

    `values (1)` is a select to the server, and no query to the parser.
    """
    try:
        return next((tree for tree in sqlglot.parse(text, read="postgres") if isinstance(tree, exp.Query)), None)
    except Exception:  # one that it stumbles over it does not know either
        return None


class Unparsed(Exception):
    """The parser does not know the text; the message says where it stumbled.

    Args:
        reason: why, without the place.
        column: where, in its line, from 1.
    """

    def __init__(self, message: str, reason: str, column: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.column = column


def parse_statements(text: str) -> list[exp.Expr | None]:
    """Return the syntax trees of a text's statements, None for one of comments only.

    Raises:
        Unparsed: the parser does not know one of them.
    """
    try:
        return list(sqlglot.parse(text, read="postgres"))
    except _UNKNOWN_TO_THE_PARSER as error:
        message = _explain(str(error).partition("\n")[0])
        place = next(iter(error.errors), {}) if isinstance(error, ParseError) else {}
        reason = _explain(str(place.get("description", message))).rstrip(".")
        raise Unparsed(message, reason, int(place.get("col") or 1)) from None


def find_tree(text: str) -> exp.Expr | None:
    """Return the syntax tree of one statement or expression; None where the parser does not know it."""
    try:
        return next(iter(parse_statements(text)), None)
    except Unparsed:
        return None


def text_of(tree: exp.Expr) -> str:
    """Return a tree's text, as files have it."""
    return tree.sql(dialect="postgres")


_UNKNOWN_TO_THE_PARSER = (ParseError, TokenError, RecursionError)


def _find_word(text: str, word: str) -> tuple[int, int, str]:
    """Return line, column and text of the word's first token, or of the query's first one."""
    tokens = code_tokens(text)
    token = next((token for token in tokens if word and token.is_word(word)), tokens[0])
    line, column = place_of(text, token.start)
    return line, column, token.text


def _explain(description: str) -> str:
    """Return the parser's description in words of ours: it names classes and tokens of its own."""
    said = _MISSING.sub("a value or a name is missing here", description)
    return _OWN.sub("", said).rstrip(".") + "."


_MISSING = re.compile(r"Required keyword: '\w+' missing for <class '[\w.]+'>")
_OWN = re.compile(r"(?: for| but got)? <(?:class|Token) .*>")
