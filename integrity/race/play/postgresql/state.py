"""The state of a PostgreSQL session beyond its transactions, and how it is put back between schedules.

What `discard all` undoes is undone here, but for prepared statements and plans of ours, which would have to be made anew:
temporary tables, settings, prepared statements, advisory locks, listening, cursors, the role, the last values of sequences.
That is seven statements, a tenth of a schedule's time, and spared where nothing can have changed: the tags that the server
gave say what ran, and what a `select` can do beside them it does by functions. Those that PostgreSQL has are known by name;
where a database has functions of its own that may do such a thing, by their text, all is put back behind every schedule.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import psycopg

from integrity.operation import Statement
from integrity.sql.name import literal

OWN_PREFIX = "integrity_race_"
"""What the names of our prepared statements begin with."""

# What a function written in C does cannot be read; of those that extensions bring, dblink has a state.
FUNCTIONS = Statement(r"""
select exists (
    select
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    join pg_catalog.pg_language as l on l.oid = p.prolang
    cross join lateral (select coalesce(nullif(p.prosrc, ''), pg_catalog.pg_get_functiondef(p.oid)) as body) as text
    where
        n.nspname not in ('pg_catalog', 'information_schema')
        and p.prokind in ('f', 'p')
        and p.provolatile = 'v'
        and (
            l.lanname not in ('sql', 'plpgsql', 'c', 'internal')
            or p.proname ~ '^dblink'
            or p.proconfig::text ~ 'client_min_messages|log_lock_waits|deadlock_timeout'
            or text.body ~* 'set_config|advisory|setseed|currval|lastval|dblink'
            or text.body ~* '\m(execute|create|temp|temporary|listen|prepare|discard|reset)\M'
            or text.body ~* '(^|;|\m(begin|then|else|loop)\M)\s*(set|call)\M'
        )
) as has_functions
""")

_HARMLESS = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "LOCK"}
)
_RUNS_OTHERS = frozenset({"DO", "CALL", "EXECUTE"})  # statements that the text does not show
# `create table ... as` has the tag of a select.
_STATEFUL = re.compile(r"set_config|advisory_|setseed|currval|lastval|\b(create|temp|temporary)\b", re.IGNORECASE)
_OURS = re.compile(r"set_config\('deadlock_timeout', '\d+', true\)")
_SETTINGS = "select name, setting from pg_catalog.pg_settings where source = 'session'"
_LEFT = f"""
select 'deallocate ' || pg_catalog.quote_ident(name) as command
from pg_catalog.pg_prepared_statements
where not pg_catalog.starts_with(name, '{OWN_PREFIX}')
"""


class SessionState:
    """What a session was like when it was set up, and whether that can have changed.

    Args:
        connection: set up, and not yet used.
        has_functions: the database has functions of its own that may change it.
    """

    def __init__(self, connection: "psycopg.Connection[tuple[object, ...]]", *, has_functions: bool) -> None:
        self.may_have_changed = False
        self._has_functions = has_functions
        settings = connection.execute(_SETTINGS).fetchall()
        restored = ", ".join(
            f"pg_catalog.set_config({literal(str(name))}, {literal(str(value))}, false)" for name, value in settings
        )
        self.reset: Sequence[Statement] = tuple(
            Statement(text)
            for text in (
                "close all",
                "set session authorization default",
                "reset all",
                f"select {restored}",
                "unlisten *",
                "select pg_catalog.pg_advisory_unlock_all()",
                "discard temp",
                "discard sequences",
                _LEFT,
            )
        )

    def note(self, sql: str, tag: str) -> None:
        """Note that a statement was carried out."""
        if not self.may_have_changed:
            self.may_have_changed = self._has_functions or _may_change(sql, tag.partition(" ")[0])

    def may_be_silent(self, sql: str) -> bool:
        """Return whether the session may have been told to give no notices, at the latest by that statement itself."""
        if self.may_have_changed or self._has_functions:
            return True
        return sql.lstrip().partition(" ")[0].upper() in _RUNS_OTHERS or _STATEFUL.search(sql) is not None


@lru_cache(maxsize=4096)
def _may_change(sql: str, verb: str) -> bool:
    return verb not in _HARMLESS or (_STATEFUL.search(sql) is not None and _OURS.search(sql) is None)
