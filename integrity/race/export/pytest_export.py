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
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import indent
from uuid import UUID

from sqlalchemy import MetaData

from integrity.engines.places import MAIN
from integrity.engines.values import PYTHON_MODULES, python_of
from integrity.errors import UsageError
from integrity.race.export.case import Assertion, Case, FailureAssertion, SerialAssertion
from integrity.race.export.exported_driver import ExportedDriver, driver_of
from integrity.race.export.literal_sql import literal_sql
from integrity.race.export.pytest_assertions import FAILURE_ASSERTS, INVARIANT_ASSERTS, SERIAL_ASSERTS, SHOWN
from integrity.race.export.script import made_schemas, render_sql
from integrity.race.export.sealed import write_sealed
from integrity.race.program.program import SNAPSHOT
from integrity.race.program.trace import Failed

_OF_READERS = ("AccessShareLock", "RowShareLock", "RowExclusiveLock", "SIReadLock")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def write_pytest(
    case: Case,
    path: Path,
    *,
    metadata: MetaData,
    dropped: frozenset[str] = frozenset(),
    appended: str = "",
    hide: Callable[[str], str] = str,
) -> Path:
    """Write the test and, beside it, its SQL; return the path of that.

    Args:
        path: of the test; ends with .py.
        dropped: constraints and indexes that are left out, as "table.name".
        appended: to the SQL.
        hide: takes out of both texts what is to stand in no file.

    Raises:
        InTheWay: a file is there that would be lost.
        UsageError: the path cannot be a test's, or cannot be written.
    """
    check_path(path)
    sql_path = path.with_suffix(".sql")
    script, test = _shorten_ids(
        render_sql(case, metadata=metadata, dropped=dropped),
        render_test(case, sql_name=sql_path.name, test_name=path.name, schemas=made_schemas(metadata)),
    )
    write_sealed(path, hide(test), sql_path, hide(f"{script}{appended}"))
    return sql_path


def check_path(path: Path) -> None:
    """Make sure that the path can be a test's.

    Raises:
        UsageError: it cannot.
    """
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise UsageError(f"{path}: not the name of a test for pytest", hint="For example: --pytest test_race.py")


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


def _shorten_ids(*texts: str) -> list[str]:
    """Return the texts with each uuid in them replaced by a short one, the same in all: equal findings, equal files."""
    names: dict[str, str] = {}
    for text in texts:
        for match in _UUID.finditer(text):
            names.setdefault(match[0], str(UUID(int=len(names) + 1)))
    return [_UUID.sub(lambda match: names[match[0]], text) for text in texts]
