"""A finding as a test for pytest and a file of SQL, which need nothing of ours: psycopg and a PostgreSQL to be run on, or,
of a race on SQLite, Python alone.

The SQL makes the tables and the rows that the schedule played on; the test holds the statements of each call with every
value as a literal, and a small conductor that lets one statement go at a time, in the order of the schedule. Ids agree
because the recording was made on an empty database too, and sequences count the same there.

The test asks the server, like the scheduler, whether a statement waits for a lock. It takes no result as given: what is
asserted is only that the rows are right. So it fails while the bug is there, and when the body of a call is replaced by the
code under test, it passes as soon as that is mended, be it by waiting, by declining or by being refused.
"""

import builtins
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from sqlalchemy import JSON, Column, DateTime, MetaData

from integrity.database.names import full_name, located, schemas_of
from integrity.engines.known import USUAL, find_part
from integrity.engines.places import DEFAULT_SCHEMA, MAIN
from integrity.engines.values import PYTHON_MODULES, python_of, sql_of
from integrity.errors import UsageError
from integrity.operation import Isolation, Statement, Value
from integrity.race.export.pytest_assertions import FAILURE_ASSERTS, INVARIANT_ASSERTS, SERIAL_ASSERTS, SHOWN
from integrity.race.play.ddl import create_statements
from integrity.race.play.recording import PlayedStep, Recording
from integrity.race.program.program import SNAPSHOT
from integrity.race.program.trace import Failed
from integrity.sql.name import quoted
from integrity.sql.parameters import replace_parameters
from integrity.sql.tokens import tokenize
from integrity.systems.reflect import Reflected

if TYPE_CHECKING:
    from typing import TypeGuard

SQL_WIDTH = 84
_OF_READERS = ("AccessShareLock", "RowShareLock", "RowExclusiveLock", "SIReadLock")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Assertion:
    """A query whose rows say whether the data is right.

    Args:
        title: what must hold, in one sentence.
        query: returns the rows that are wrong.
    """

    title: str
    query: Statement


@dataclass(frozen=True, slots=True)
class SerialAssertion:
    """What the calls leave behind one after the other.

    Args:
        title: what must hold, in one sentence.
        queries: table -> a query for its rows, without what the database makes up.
        orders: for each serial order what they return: table -> rows, sorted by their repr.
    """

    title: str
    queries: Mapping[str, Statement]
    orders: Sequence[Mapping[str, Sequence[tuple[Any, ...]]]]


@dataclass(frozen=True, slots=True)
class FailureAssertion:
    """An error that no call may end with.

    Args:
        title: what must hold, in one sentence.
        error: the SQLSTATE, or the name of the exception.
    """

    title: str
    error: str


@dataclass(frozen=True, slots=True)
class Case:
    """What the test is about.

    Args:
        title: what was found, e.g. "lost update: sell and sell on one wallet".
        name: of the test, e.g. "sell_and_sell".
        calls: letter -> operation and arguments, e.g. ("sell", "wallet_id=1, amount_minor=600").
        isolation: of statements outside transactions and of transactions that name no level.
        recording: of the schedule, played first of all on an empty database.
        assertion: what fails.
        replay: the command that plays the schedule.
        dialect: as Target.dialect names it.
        journal_mode: SQLite's, which decides who waits for whom.
        is_deferred: on SQLite, transactions begin without the write lock.
        standing: what of a reader's is in the way of a call; see program.Standing.
    """

    title: str
    name: str
    calls: Mapping[str, tuple[str, str]]
    isolation: Isolation
    recording: Recording
    assertion: Assertion | SerialAssertion | FailureAssertion
    replay: str
    dialect: str = USUAL
    journal_mode: str = ""
    is_deferred: bool = False
    standing: frozenset[str] = frozenset()


class ExportedDriver(Protocol):
    """How a test speaks to an engine's database: the library that the test's reader would use.

    Args:
        template: of the test's text.
        error: what the library raises.
        opened: an expression for a connection.
        makes_schemas: the script creates the tables' schema.
        sets_sequences: the script sets what numbers rows behind those that it inserts.
    """

    template: str
    error: str
    opened: str
    makes_schemas: bool
    sets_sequences: bool

    def question(self, sql: str) -> str:
        """Return a question of ours with its tables named as the engine has them."""
        ...

    def told(self, failure: str) -> str:
        """Return what the library says of a failure, an SQLSTATE or the name of an exception."""
        ...

    def literal(self, value: Value) -> str:
        """Return the value as SQL has it."""
        ...

    def staged_literal(self, value: Value, newest: datetime | None, *, is_json: bool) -> str:
        """Return the value of a staged row; a time counts back from now, as it did when the rows were made."""
        ...

    def body(
        self,
        played: Sequence[PlayedStep],
        text_of: Callable[[Statement], str],
        *,
        isolation: Isolation,
        is_deferred: bool,
    ) -> str:
        """Return the steps of one call as calls of the library.

        Args:
            text_of: a statement as Python has it.
            isolation: of statements outside transactions and of transactions that name no level.
            is_deferred: transactions begin without the lock that writing takes.
        """
        ...


def driver_of(dialect: str) -> ExportedDriver:
    """Return how a test speaks to databases of that engine: `DRIVER` of `driver.py`, in the folder of its name here."""
    driver: ExportedDriver = find_part("integrity.race.export", dialect, "driver", serves="exported tests").DRIVER
    return driver


def write_pytest(case: Case, path: Path, *, metadata: MetaData, dropped: frozenset[str] = frozenset()) -> Path:
    """Write the test and, beside it, its SQL; return the path of that.

    Args:
        path: of the test; ends with .py.
        dropped: constraints and indexes that are left out, as "table.name".

    Raises:
        UsageError: the path cannot be a test's, or cannot be written.
    """
    check_path(path)
    sql_path = path.with_suffix(".sql")
    script, test = _shorten_ids(
        render_sql(case, metadata=metadata, dropped=dropped),
        render_test(case, sql_name=sql_path.name, test_name=path.name, schemas=_made_schemas(metadata)),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sql_path.write_text(script, encoding="utf-8")
        path.write_text(test, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be written: {error.strerror}") from None
    return sql_path


def check_path(path: Path) -> None:
    """Make sure that the path can be a test's.

    Raises:
        UsageError: it cannot.
    """
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise UsageError(f"{path}: not the name of a test for pytest", hint="For example: --pytest test_race.py")


def staging_queries(metadata: MetaData) -> dict[str, str]:
    """Return what `record` must ask so that the rows can be written down.

    A time that the database sets by itself is left to it: rows that were new when this was found must not grow old.
    """
    return {
        table.fullname: "select {} from {} order by {}".format(
            ", ".join(quoted(column.name) for column in table.columns if not _is_made(column)),
            full_name(table),
            ", ".join(quoted(column.name) for column in table.primary_key.columns) or "1",
        )
        for table in (metadata.raced_tables if isinstance(metadata, Reflected) else metadata.sorted_tables)
    }


def render_sql(case: Case, *, metadata: MetaData, dropped: frozenset[str]) -> str:
    """Return the statements that make the tables and the rows."""
    lines = [f"-- {case.title}: the tables, and the rows that the calls meet on.", ""]
    driver = driver_of(case.dialect)
    before, behind = create_statements(metadata, dropped=dropped, dialect=case.dialect)
    is_reflected = isinstance(metadata, Reflected)
    if is_reflected and driver.makes_schemas:
        lines += ["set check_function_bodies = off;", ""]  # what they name may be made behind them
    for schema in _made_schemas(metadata) if driver.makes_schemas and not is_reflected else ():
        lines += [f"create schema {quoted(schema)};", ""]
    lines += [line for statement in before for line in (f"{statement};", "")]
    times = [
        value for rows in case.recording.staged.values() for row in rows for value in row.values() if _is_instant(value)
    ]
    for table in metadata.sorted_tables:
        rows = case.recording.staged.get(table.fullname, ())
        if rows:
            newest = max(times, default=None)
            columns = [table.columns[name] for name in rows[0]]
            values = [
                ", ".join(
                    driver.staged_literal(row[column.name], newest, is_json=isinstance(column.type, JSON))
                    for column in columns
                )
                for row in rows
            ]
            name = located(table, case.dialect) if table.schema else full_name(table)
            overriding = " overriding system value" if any(_is_given_always(column) for column in columns) else ""
            lines += [
                f"insert into {name} ({', '.join(quoted(column.name) for column in columns)}){overriding} values",
                *(f"    ({value})," for value in values[:-1]),
                f"    ({values[-1]});",
            ]
            lines += [
                f"select setval(pg_get_serial_sequence({sql_of(name)}, {sql_of(column.name)}), {rows[-1][column.name]});"
                for column in table.columns
                if _is_numbered(column) and driver.sets_sequences
            ]
            lines += [""]
    lines += [line for statement in behind for line in (f"{statement};", "")]
    return "\n".join(lines).rstrip() + "\n"


def _made_schemas(metadata: MetaData) -> tuple[str, ...]:
    """Return the schemas that are made for the tables: all but the default one."""
    return tuple(schema for schema in schemas_of(metadata) if schema != DEFAULT_SCHEMA)


def render_test(case: Case, *, sql_name: str, test_name: str, schemas: Sequence[str] = ()) -> str:
    """Return the test's text.

    Args:
        schemas: that tables are in, but for the default one.
    """
    names = {letter: f"{operation}_{letter.lower()}" for letter, (operation, _) in case.calls.items()}
    shown = {letter: f"{letter} = {operation}({arguments})" for letter, (operation, arguments) in case.calls.items()}
    functions = [
        f"def {name}(connection):\n"
        f'    """{shown[letter]}"""\n'
        f"    # your own code goes here, in place of these statements\n"
        f"{indent(_body_of(case, letter) or 'pass', '    ')}"
        for letter, name in names.items()
    ]
    driver = driver_of(case.dialect)
    raised = _raised(case)
    constants = _constants(case.assertion, case.dialect, raised=[name for name in raised if not hasattr(builtins, name)])
    caught = [driver.error, *raised]
    attach = "".join(
        f'    attached = str(folder / "race.{schema}.db")\n'
        f'    connection.execute("attach database ? as {schema}", (attached,))\n'
        for schema in schemas
    )
    return driver.template.format(
        journal="".join(
            f'        connection.execute("pragma {schema}.journal_mode = {case.journal_mode}")\n'
            for schema in schemas or (MAIN,)
        ),
        suppress=", suppress" if any("with suppress(" in function for function in functions) else "",
        attach=attach,
        title=case.title,
        calls="\n".join(f"    {call}" for call in shown.values()),
        replay=case.replay,
        test_name=test_name,
        sql_name=sql_name,
        functions_named=" and ".join(names.values()),
        turns=case.recording.run.letters,
        constants=constants,
        caught=caught[0] if len(caught) == 1 else f"({', '.join(caught)})",
        asserts=_asserts(case.assertion, driver),
        besides=", and what of a reader's is in the way of a call" if case.standing else "",
        held=_held(case.standing),
        imports="".join(f"import {name}\n" for name in PYTHON_MODULES[:2] if f"{name}." in constants),
        functions="\n\n\n".join(functions),
        name=case.name,
        rule=_python_string(case.assertion.title, is_short=True),
        actors="\n".join(f'    "{letter}": {name},' for letter, name in names.items()),
    )


def literal_sql(statement: Statement, dialect: str = USUAL) -> str:
    """Return the statement with its values in it, its lines of one width, without indentation."""
    text = dedent(statement.sql.strip("\n")).strip()
    driver = driver_of(dialect)
    filled = replace_parameters(driver.question(text), lambda name: driver.literal(statement.parameters[name]))
    return "\n".join(line for long in filled.splitlines() for line in _wrap(long))


def _is_instant(value: Value) -> "TypeGuard[datetime]":
    """Return whether a value is a time on the world's clock; one without a zone is what somebody's calendar says."""
    return isinstance(value, datetime) and value.tzinfo is not None


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


def _body_of(case: Case, letter: str) -> str:
    """Return the steps of one call as the driver's user writes them, and the exception that its own code ended it with."""
    played = case.recording.played[letter]
    body = driver_of(case.dialect).body(
        played,
        lambda statement: _python_string(literal_sql(statement, case.dialect)),
        isolation=case.isolation,
        is_deferred=case.is_deferred,
    )
    failed = case.recording.run.trace.returns.get(letter)
    if isinstance(failed, Failed) and failed.sqlstate is None:
        name, _, text = failed.reason.partition(": ")
        body += f"\nraise {name}({_python_string(text, is_short=True)})"
    return body


def _held(standing: frozenset[str]) -> str:
    """Return the condition on pg_locks that others meet what is held; every transaction has some locks."""
    if SNAPSHOT in standing:
        return "true"
    unmet = [mode for mode in _OF_READERS if mode not in standing]
    modes = ", ".join(f"'{mode}'" for mode in unmet)
    return f"locktype = 'advisory'\n    or locktype = 'relation' and mode not in ({modes})"


def _raised(case: Case) -> list[str]:
    """Return the names of the exceptions that calls raised in code of their own."""
    failed = [each for each in case.recording.run.trace.returns.values() if isinstance(each, Failed) and not each.sqlstate]
    return sorted({each.error for each in failed})


def _asserts(assertion: Assertion | SerialAssertion | FailureAssertion, driver: "ExportedDriver") -> str:
    if isinstance(assertion, FailureAssertion):
        return FAILURE_ASSERTS
    return SHOWN.format(opened=driver.opened) + (
        SERIAL_ASSERTS if isinstance(assertion, SerialAssertion) else INVARIANT_ASSERTS
    )


def _python_string(text: str, *, is_short: bool = False) -> str:
    """Return a literal: on one line if it is short, else between triple quotes, indented."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if is_short or (len(text) <= 60 and "\n" not in text):
        return f'"{escaped}"'
    return f'"""\n{indent(escaped, "    ")}\n"""'


def _constants(assertion: Assertion | SerialAssertion | FailureAssertion, dialect: str, *, raised: Sequence[str]) -> str:
    """Return what the test's assertion compares with."""
    if isinstance(assertion, FailureAssertion):
        classes = [f'\n\nclass {name}(Exception):\n    """What a call raised."""' for name in raised]
        return "\n".join([f'FAILS_WITH = "{assertion.error}"', *classes])
    if isinstance(assertion, Assertion):
        return f"WRONG_ROWS = {_python_string(literal_sql(assertion.query, dialect))}"
    lines = ["QUERIES = {"]
    lines += [
        indent(f'"{table}": {_python_string(literal_sql(query, dialect))},', "    ")
        for table, query in assertion.queries.items()
    ]
    lines += ["}", "SERIAL_ORDERS = ["]
    for order in assertion.orders:
        lines.append("    {")
        for table, rows in order.items():
            lines += [f'        "{table}": [', *(f"            {python_of(row)}," for row in rows), "        ],"]
        lines.append("    },")
    return "\n".join([*lines, "]"])


def _is_made(column: "Column[object]") -> bool:
    """Whether the database makes the value, by its clock or of the row's other columns."""
    return column.computed is not None or (isinstance(column.type, DateTime) and column.server_default is not None)


def _is_given_always(column: "Column[object]") -> bool:
    return column.identity is not None and column.identity.always is True


def _is_numbered(column: "Column[object]") -> bool:
    default = getattr(column.server_default, "arg", "")
    return column.identity is not None or str(default).startswith("nextval(")


def _shorten_ids(*texts: str) -> list[str]:
    """Return the texts with each uuid in them replaced by a short one, the same in all: equal findings, equal files."""
    names: dict[str, str] = {}
    for text in texts:
        for match in _UUID.finditer(text):
            names.setdefault(match[0], str(UUID(int=len(names) + 1)))
    return [_UUID.sub(lambda match: names[match[0]], text) for text in texts]
