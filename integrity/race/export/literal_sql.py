"""Statements with their values in them, in lines of one width."""

from textwrap import dedent

from integrity.engines.known import USUAL
from integrity.operation import Statement
from integrity.race.export.exported_driver import driver_of
from integrity.sql.parameters import replace_parameters
from integrity.sql.tokens import tokenize

SQL_WIDTH = 84


def literal_sql(statement: Statement, dialect: str = USUAL) -> str:
    """Return the statement with its values in it, its lines of one width, without indentation."""
    text = dedent(statement.sql.strip("\n")).strip()
    driver = driver_of(dialect)
    filled = replace_parameters(driver.question(text), lambda name: driver.literal(statement.parameters[name]))
    return "\n".join(line for long in filled.splitlines() for line in _wrap(long))


def _wrap(line: str) -> list[str]:
    """Return the line in parts of at most SQL_WIDTH, broken outside strings only, rows of values first."""
    if len(line) <= SQL_WIDTH or line.lstrip().startswith("--"):
        return [line]
    margin = " " * (len(line) - len(line.lstrip()))
    rows = _rows_of(line)
    if len(rows) > 1:
        return [part for row in (rows[0], *(f"{margin}    {row}" for row in rows[1:])) for part in _wrap(row)]
    lines, current = [], margin
    for word in _words_of(line):
        if current.strip() and len(current) + 1 + len(word) > SQL_WIDTH:
            lines.append(current)
            current = f"{margin}    "
        current += word if not current.strip() else f" {word}"
    return [*lines, current]


def _rows_of(line: str) -> list[str]:
    """Return the line in parts, each but the last up to the comma between two rows of values."""
    tokens, rows, start = tokenize(line), [], 0
    for before, comma, behind in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if before.is_sign(")") and comma.is_sign(",") and behind.is_sign("("):
            rows.append(line[start : comma.end])
            start = behind.start
    return [*rows, line[start:]]


def _words_of(line: str) -> list[str]:
    """Return what blanks part, but for those in strings."""
    words: list[str] = []
    end = 0
    for token in tokenize(line):
        if words and token.start == end:
            words[-1] += line[token.start : token.end]
        else:
            words.append(line[token.start : token.end])
        end = token.end
    return words
