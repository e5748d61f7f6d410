"""The last resort: a database made anew for every schedule, from a template.

    with make_template(place) as template:     # of a copy (copy.py) that nobody is connected to
        template.renew()                       # before each schedule; the application's connections are closed by then

It needs no right but that of making databases, and leaves nothing behind in rows, sequences, definitions or the order of
rows on their pages. Of a database of 12 MB, of which the catalogue is 8, it takes 130 to 170 ms a schedule where making its
300 files is slow (`benchmarks/race_rows.py`), and 17 to 31 elsewhere. The copy keeps its name, so that the application
connects to it again as before; its sessions are ended by it. Races of requests fall back
to it: gated/postgresql/remaking.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import psycopg

from integrity.engines.postgresql.copies import copy_database, give_properties
from integrity.engines.postgresql.temporary import drop_database, temporary_name
from integrity.engines.transaction import refusal
from integrity.errors import DatabaseError
from integrity.race.rows.postgresql.copy import CopyPlace, is_busy


class Template:
    """A database that another one is made of, again and again.

    Args:
        name: the template's; nobody is let in.
    """

    def __init__(self, place: CopyPlace, name: str) -> None:
        self._place = place
        self._name = name

    def renew(self) -> float:
        """Make the copy anew; return the seconds that it took. Sessions of the copy are ended.

        Raises:
            DatabaseError: the server refuses it.
        """
        begun = perf_counter()
        server = self._place.server
        try:
            drop_database(server, self._place.name)
            copy_database(server, self._name, self._place.name, is_sealed=False)
            with server.transaction():
                give_properties(server, self._name, self._place.name)
        except psycopg.Error as error:
            raise refusal(self._place.target, error) from None
        return perf_counter() - begun


@contextmanager
def make_template(place: CopyPlace) -> Iterator[Template]:
    """Yield a template of the copy as it is now; it is dropped at the end, and the copy stays.

    Raises:
        DatabaseError: somebody is connected to the copy, or the server refuses it.
    """
    server = place.server
    if is_busy(server, place.name):
        raise DatabaseError(
            f"{place.target}: sessions are connected to it", hint="Close them: it is made anew without them."
        )
    with temporary_name(server, "template") as name:
        try:
            copy_database(server, place.name, name, is_sealed=True)
            with server.transaction():
                give_properties(server, place.name, name)
        except psycopg.Error as error:
            raise refusal(place.target, error) from None
        yield Template(place, name)
