"""What is said otherwise in a test that is exported for SQLite: values, times, and the steps of a call."""

from collections.abc import Callable, Sequence
from datetime import datetime
from textwrap import indent

from integrity.engines.sqlite.dialect import adapt, in_main_file, to_sqlite
from integrity.engines.values import sql_of
from integrity.operation import Begin, Commit, Isolation, Request, Rollback, Statement, Value
from integrity.race.export.sqlite.template import TEMPLATE
from integrity.race.play.recording import PlayedStep


class SqliteTest:
    """See exported_driver.ExportedDriver."""

    template = TEMPLATE
    error = "sqlite3.Error"
    opened = "closing(connect(tmp_path))"
    makes_schemas = False
    sets_sequences = False  # it goes on from the greatest id

    def question(self, sql: str) -> str:
        return in_main_file(sql)

    def told(self, failure: str) -> str:
        if not failure[:1].isdigit():
            return failure
        return "IntegrityError" if failure.startswith("23") else "OperationalError"

    def literal(self, value: Value) -> str:
        stored = to_sqlite(value)
        if isinstance(stored, bytes):
            return f"x'{stored.hex()}'"
        if not isinstance(stored, str):
            return sql_of(stored)
        # The text is laid out anew, line by line, and strings have no escapes there.
        lines = stored.replace("'", "''").split("\n")
        return " || char(10) || ".join(f"'{line}'" for line in lines)

    def staged_literal(self, value: Value, newest: datetime | None, *, is_json: bool) -> str:
        if isinstance(value, datetime) and newest is not None:
            seconds = round((newest - value).total_seconds())
            return f"datetime('now', '{-seconds:+} seconds')" if seconds else "datetime('now')"
        return self.literal(value)

    def body(
        self,
        played: Sequence[PlayedStep],
        text_of: Callable[[Statement], str],
        *,
        isolation: Isolation,
        is_deferred: bool,
    ) -> str:
        lines: list[str] = []
        is_open = False
        for number, each in enumerate(played):
            match step := each.step:
                case Begin():
                    lines.append(f'connection.execute("begin{"" if is_deferred else " immediate"}")')
                    is_open = True
                case Statement():
                    call = f"connection.execute({text_of(adapted(step))})"
                    if each.sqlstate and number + 1 < len(played):  # the call went on all the same
                        call = f"with suppress(sqlite3.Error):\n{indent(call, '    ')}"
                    lines.append(call)
                case Commit() | Rollback():
                    lines.append(f"connection.{type(step).__name__.lower()}()")
                    is_open = False
                case Request():
                    lines.append(f"# here the call asks the service {step.service!r}")
        if is_open and not (played and played[-1].sqlstate):
            lines.append("connection.rollback()")
        return "\n".join(lines)


def adapted(step: Statement) -> Statement:
    """Return the statement in SQLite's words, laid out as it was where they are the same."""
    sql = adapt(step.sql, "sqlite")
    is_same = _letters(sql) == _letters(step.sql)
    return step if is_same else Statement(sql, step.parameters)


def _letters(sql: str) -> str:
    """Return what is left of a statement when its layout is taken away."""
    return "".join(sql.lower().split()).rstrip(";")


DRIVER = SqliteTest()
