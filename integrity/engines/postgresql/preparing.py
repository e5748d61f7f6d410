"""Statements are prepared and never executed: the server parses them and looks their names up."""

from collections.abc import Iterable, Iterator, Sequence

from integrity.engines.preparing import NotUnderstood
from integrity.engines.target import Target
from integrity.sql.parameters import Mark, marks_in

_SYNTAX = "42601"
_NAMES = ("42P01", "42703", "3F000")
"""Of tables, columns and schemas. What else may be refused hangs on the types of values, where some are not known yet."""


def find_not_understood(target: Target, statements: Iterable[str]) -> Iterator[NotUnderstood | None]:
    """Yield for each statement why the server does not understand it; None: it does, or its values may say more."""
    from psycopg import pq

    with target.connect() as connection:
        for statement in statements:
            marks = marks_in(statement)
            numbered = _numbered(statement, marks)
            result = connection.pgconn.prepare(b"", numbered.encode())
            state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
            if result.status != pq.ExecStatus.FATAL_ERROR or (marks and state not in (_SYNTAX, *_NAMES)):
                yield None
                continue
            said = (
                (result.error_field(each) or b"").decode(errors="replace")
                for each in (
                    pq.DiagnosticField.MESSAGE_PRIMARY,
                    pq.DiagnosticField.MESSAGE_HINT,
                    pq.DiagnosticField.STATEMENT_POSITION,
                )
            )
            reason, hint, position = said
            yield NotUnderstood(reason, hint, int(position) - 1 if position else None, is_syntax=state == _SYNTAX)


def _numbered(statement: str, marks: Sequence[Mark]) -> str:
    """Return the statement with `$1, $2, ...` for its values, every character behind one where it was."""
    names = sorted({mark.name for mark in marks}, key=len)  # up to nine are no longer than `:a`
    text = statement
    for mark in reversed(marks):
        number = f"${names.index(mark.name) + 1}"
        text = text[: mark.start] + number.ljust(mark.end - mark.start) + text[mark.end :]
    return text
