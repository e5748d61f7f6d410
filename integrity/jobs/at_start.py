"""What an application makes as it starts, tables and rows, is part of the state that each schedule begins with.

Rows are taken as they are then. Tables are not: whoever watches changes must know them before. So such an application is
started once before the stand is put on its database, and again behind that, when it finds what it has made.
"""

import re
from collections.abc import Sequence

from integrity.errors import UsageError
from integrity.race.gated.postgresql.stand import Stand
from integrity.race.rows.keeping import between_transactions

_OF_TABLES = re.compile(r"(create|drop|alter) table\b|tables were")
_ANEW = re.compile(
    r"(create|drop) table\b|tables were"
)  # an `alter ... if not exists` is noted, also where it does nothing


class MadeAtStart(UsageError):
    """An application has made, as it started, what the stand on its database does not know, or would lose."""


def keep_made_at_start(stand: Stand, *, is_second: bool) -> None:
    """Let what the application has made since the stand was put on its database be what each schedule begins with.

    Args:
        is_second: it was started before on this database, and made what it makes at a first start.

    Raises:
        MadeAtStart: it has to be started before the stand is.
        UsageError: it makes tables each time that it starts.
    """
    record = between_transactions(stand.capture.read)
    if is_second:
        if made := _some(record.not_undone, _ANEW):
            raise UsageError(
                f"the application makes its tables anew each time that it starts ({made}): changes of them are not seen",
                hint="Let it keep the tables that it finds (create table if not exists), or make them by a command of "
                "its own before; [app] command then starts it without.",
            )
    elif made := _some(record.not_undone, re.compile("") if stand.anew else _OF_TABLES):
        raise MadeAtStart(f"the application makes what it needs as it starts ({made})")
    elif stand.anew and record.has_entries:
        raise MadeAtStart("the application writes rows as it starts")
    if stand.anew is None and record.has_entries:
        between_transactions(stand.capture.mark)


def _some(done: Sequence[str], pattern: "re.Pattern[str]") -> str:
    """Return the first two of what was done that fit; empty: none."""
    fitting = [each for each in done if pattern.match(each)]
    return ", ".join([*fitting[:2], *["..."][: len(fitting) > 2]])
