"""What a scenario expects must be there to be expected."""

from contextlib import closing

from integrity.engines.target import Target
from integrity.errors import UsageError, quote
from integrity.scenarios.scenario import Expect
from integrity.suggestion import nearest, suggest

_COLUMNS = """
select table_name, column_name from information_schema.columns
where table_schema not in ('pg_catalog', 'information_schema')
"""


def check_volatile(expect: Expect, target: Target, *, place: str, may_come: bool = False) -> None:
    """Raise UsageError for a volatile column that no table has: what it was meant for would be compared.

    Args:
        may_come: the application may still make it as it starts: then only one that another all but is called is told.
    """
    if not expect.volatile.columns:
        return
    with closing(target.connect(application_name="integrity race")) as connection:
        found = connection.execute(_COLUMNS.encode()).fetchall()
    known = {column for _, column in found} | {f"{table}.{column}" for table, column in found}
    for name in expect.volatile.columns:
        if name not in known and not (may_come and not nearest(name, known)):
            raise UsageError(
                f"{place}: expect.volatile.columns: no table has {quote(name)}",
                hint=suggest(name, sorted(known), otherwise='Write "table.column", or "column" for that of every table.'),
            )
