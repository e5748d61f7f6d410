"""What is said in a test that is exported for PostgreSQL: values, times, and the steps of a call by psycopg."""

from collections.abc import Callable, Sequence
from datetime import datetime
from textwrap import indent

from integrity.engines.values import sql_of
from integrity.operation import Begin, Commit, Isolation, Request, Rollback, Statement, Value
from integrity.race.export.postgresql.template import TEMPLATE
from integrity.race.play.recording import PlayedStep


class PsycopgTest:
    """See exported_driver.ExportedDriver."""

    template = TEMPLATE
    error = "psycopg.Error"
    opened = "psycopg.connect(database)"
    makes_schemas = True
    sets_sequences = True

    def question(self, sql: str) -> str:
        return sql

    def told(self, failure: str) -> str:
        return failure

    def literal(self, value: Value) -> str:
        return sql_of(value)

    def staged_literal(self, value: Value, newest: datetime | None, *, is_json: bool) -> str:
        if isinstance(value, datetime) and value.tzinfo is not None and newest is not None:
            seconds = round((newest - value).total_seconds())
            return f"current_timestamp - interval '{seconds} s'" if seconds else "current_timestamp"
        return sql_of(value, is_json=is_json)

    def body(
        self,
        played: Sequence[PlayedStep],
        text_of: Callable[[Statement], str],
        *,
        isolation: Isolation,
        is_deferred: bool,
    ) -> str:
        lines: list[str] = []
        level = Isolation.READ_COMMITTED
        modes = (False, False)
        is_open = False
        for number, each in enumerate(played):
            step = each.step
            if not is_open and isinstance(step, Begin | Statement):
                wanted = (step.isolation if isinstance(step, Begin) else None) or isolation
                if wanted is not level:
                    lines.append(f"connection.isolation_level = psycopg.IsolationLevel.{wanted.name}")
                    level = wanted
                asked = (step.is_read_only, step.is_deferrable) if isinstance(step, Begin) else (False, False)
                if asked != modes:
                    lines.append(f"connection.read_only, connection.deferrable = {asked[0]}, {asked[1]}")
                    modes = asked
            match step:
                case Begin():
                    is_open = True
                case Statement():
                    call = f"connection.execute({text_of(step)})"
                    if each.sqlstate and number + 1 < len(played):  # the call went on all the same
                        call = f'with suppress(psycopg.errors.lookup("{each.sqlstate}")):\n{indent(call, "    ")}'
                    lines.append(call)
                    if not is_open:
                        lines.append("connection.commit()")
                case Commit() | Rollback():
                    lines.append(f"connection.{type(step).__name__.lower()}()")
                    is_open = False
                case Request():
                    lines.append(f"# here the call asks the service {step.service!r}")
        if is_open and not (played and played[-1].sqlstate):
            lines.append("connection.rollback()")
        return "\n".join(lines)


DRIVER = PsycopgTest()
