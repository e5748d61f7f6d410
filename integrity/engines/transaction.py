"""Transactions that change a database: all of it happens or nothing does, on every engine.

All change schemas within a transaction. So whatever stops the work (Ctrl-C, kill -9, a full disk, the server's end) leaves
the database as it was before.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from integrity.engines.purpose import Purpose
from integrity.engines.refusals import next_step, reason_of
from integrity.engines.target import Target, mask
from integrity.errors import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import Connection


@contextmanager
def transaction(
    target: Target, namespaces: Sequence[str] = (), *, checks_foreign_keys: bool = True
) -> "Iterator[Connection]":
    """Yield a connection within a transaction, committed at the end and rolled back by any exception.

    Args:
        namespaces: the schemas to work in; where a schema is a file, it is made.
        checks_foreign_keys: False for rebuilding a table, which would else delete what refers to it.

    Raises:
        DatabaseError: the database refused a statement or the commit.
    """
    from sqlalchemy.exc import DBAPIError

    engine = target.sqlalchemy_engine(namespaces, purpose=Purpose.OWN)
    try:
        # Ours are driver connections in autocommit mode: SQLAlchemy is told so, and begin and commit are statements.
        with engine.connect().execution_options(
            isolation_level="AUTOCOMMIT",
            schema_translate_map=target.engine.schema_names,
        ) as connection:
            for statement in target.engine.begin(checks_foreign_keys=checks_foreign_keys):
                connection.exec_driver_sql(statement)
            try:
                yield connection
            except KeyboardInterrupt:  # perhaps in the middle of a statement, where nothing more can be sent
                connection.invalidate()  # closes it, and the server rolls back
                raise
            connection.exec_driver_sql("commit")
    except DBAPIError as error:
        raise refusal(target, error.orig) from None
    except target.engine.driver_error as error:
        raise refusal(target, error) from None
    finally:
        engine.dispose()  # closes the connection: what was not committed is rolled back


def refusal(
    target: Target, error: BaseException | None, *, of: str = "", hint: str = "Nothing was changed."
) -> DatabaseError:
    """Return the error to raise when the database refused something, with its reason and a next step.

    Args:
        of: what was asked of; the server does not say which table it is whose lock it waited for.
        hint: the next step, where the reason does not say one.
    """
    place = f"{target}: {of}" if of else str(target)
    return DatabaseError(f"{place}: {mask(reason_of(error))}", hint=next_step(error) or hint)
