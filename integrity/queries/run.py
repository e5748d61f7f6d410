"""Runs a query of `queries/` within a snapshot."""

from collections.abc import Mapping
from datetime import datetime

from integrity.engines.server_text import Rows
from integrity.engines.snapshot import Reader
from integrity.project import reference_folder
from integrity.sql.file import SqlFile, read_sql_file
from integrity.value import Value


def load_query(name: str) -> SqlFile:
    """Return the reference systems' query of that name, e.g. "history/calls-of-operations".

    Raises:
        SqlFileError: it cannot be used.
    """
    return read_sql_file(reference_folder("queries") / f"{name}.sql", name=name)


def run_query(
    session: Reader,
    query: SqlFile,
    given: Mapping[str, Value],
    *,
    now: datetime,
    row_limit: int | None = None,
) -> Rows:
    """Return the query's rows.

    Args:
        given: values of its parameters; those left out have their defaults, counted from `now`.

    Raises:
        QueryFailed: the database did not answer.
        NotPortable: it cannot be said in the database's dialect.
        UsageError: a parameter without value, or a value without parameter.
    """
    values = query.values(given, now=now)
    return session.read(
        session.spelling.numbered(query), [values[name] for name in query.parameter_names], row_limit=row_limit
    )


def show_query(session: Reader, query: SqlFile, given: Mapping[str, Value], *, now: datetime, row_limit: int) -> Rows:
    """Return the query's first rows as the database spells them: to be shown, whatever they hold.

    Raises:
        QueryFailed: the database did not answer.
        NotPortable: it cannot be said in the database's dialect.
        UsageError: a parameter without value, or a value without parameter.
    """
    values = query.values(given, now=now)
    return session.read_text(
        session.spelling.numbered(query), [values[name] for name in query.parameter_names], row_limit=row_limit
    )
