"""Statements are explained and never executed: SQLite compiles them, which needs every name in them."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

from integrity.engines.preparing import NotUnderstood
from integrity.engines.spelling import NotPortable
from integrity.engines.target import Target
from integrity.errors import AuditError
from integrity.sql.parameters import marks_in, unquote_parameters

_SYNTAX = re.compile(r'near "(?P<word>[^"]*)": syntax error|unrecognized token: "(?P<token>.*)"|incomplete input')
_NAMES = re.compile(
    r"no such (?:table|column): (?:\S+\.)?(?P<name>\S+)|table \S+ has no column named (?P<column>\S+)"
    r"|unknown database (?P<schema>\S+)"
)
_FUNCTION = re.compile(r"(?:no such function:|to function) (?P<name>\w+)")


def find_not_understood(
    target: Target, statements: Iterable[str], schemas: Sequence[str]
) -> Iterator[NotUnderstood | None]:
    """Yield for each statement why SQLite does not understand it; None: it does, or its values may say more."""
    with closing(target.connect_sqlite(schemas, is_read_only=True)) as connection:
        for statement in statements:
            written = unquote_parameters(statement)
            try:
                spelled = target.engine.spelling.statement(written)
            except (NotPortable, AuditError):  # then SQLite says it in its own words
                spelled = written
            try:
                connection.execute(f"explain {spelled}", defaultdict(lambda: None))
            except sqlite3.Error as error:
                syntax, name, function = (each.search(str(error)) for each in (_SYNTAX, _NAMES, _FUNCTION))
                word = next((each for found in (syntax, name, function) if found for each in found.groups() if each), "")
                at = re.search(rf"(?<!\w){re.escape(word)}", statement, re.IGNORECASE) if word else None
                is_known = not marks_in(statement) and error.sqlite_errorcode == sqlite3.SQLITE_ERROR
                is_told = is_known or syntax is not None or name is not None
                yield NotUnderstood(str(error), "", at.start() if at else None, syntax is not None) if is_told else None
            else:
                yield None
