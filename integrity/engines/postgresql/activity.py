"""Who is connected to a PostgreSQL server, and how many more may be."""

from integrity.engines.server_facts import ServerFacts
from integrity.engines.target import Target


def find_session_names(target: Target) -> set[str] | None:
    """Return the names of the sessions in the database; None on a standby, which does not see the primary's.

    Raises:
        DatabaseError: the database refuses the question.
    """
    with target.open_line(is_read_only=True) as line:
        if line.ask("select pg_catalog.pg_is_in_recovery()") == [(True,)]:
            return None
        return {name for (name,) in line.ask(_NAMES)}


_NAMES = "select application_name from pg_catalog.pg_stat_activity where datname = pg_catalog.current_database()"


def read_server(target: Target) -> ServerFacts:
    """Return what a run has to know of the server.

    Raises:
        DatabaseError: the database refuses the question.
    """
    with target.open_line(is_read_only=True) as line:
        slots, used, version, synchronous_commit = line.ask(_SERVER)[0]
    return ServerFacts(f"PostgreSQL {version}", synchronous_commit, slots, used)


_SERVER = """
    select
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
        (select count(*) from pg_stat_activity where backend_type = 'client backend'),
        current_setting('server_version'),
        current_setting('synchronous_commit')
    """
