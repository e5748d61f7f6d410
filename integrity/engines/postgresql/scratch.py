"""Scratch databases of a server: made for one command, and dropped at its end.

What a killed process left behind is dropped by the next one that makes a database (temporary.py).
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
from psycopg import sql

from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.postgresql.temporary import drop_left_over, temporary_name
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import MayNotCreate


@contextmanager
def make_scratch(target: Target, purpose: str) -> Iterator[Target]:
    """Yield an empty database; see engine.Engine."""
    application_name = f"integrity {purpose}"
    with closing(target.connect(application_name=application_name, settings=OWN)) as admin:
        admin.refuse_pooler(target, "what is made beside it needs")
        try:
            drop_left_over(admin)
        except psycopg.Error as error:
            raise refusal(target, error) from None
        with temporary_name(admin, purpose) as name:
            try:
                admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
            except psycopg.errors.InsufficientPrivilege as error:
                raise MayNotCreate(refusal(target, error).message, hint="Let the user: alter role ... createdb.") from None
            except psycopg.Error as error:
                raise refusal(target, error) from None
            yield Target(target.url.set(database=name))
