"""Session settings: what holds on every connection of ours, whatever the server, the database or the role prefers.

They are statements sent after connecting: a pooler refuses most of what is asked for while connecting. All of them travel
as one text, which costs one round trip. What SQL that is not ours means by the role's settings is left to the role: its
search_path, its time zone and the order of day and month in what it writes. Whether transactions are read only by default
is left alone, too: somebody wanted that.

A role's statement_timeout of a millisecond can end even the text that lifts it, so that is sent again.
"""

from collections.abc import Mapping

from integrity.sql.name import literal

LOCK_TIMEOUT_S = 10
"""A table that is being altered is not worth blocking us, and what queues behind us, for longer."""
QUESTION_TIMEOUT_S = 60

ATTEMPTS_MOST = 50
"""How often the settings are sent when the role's own limit ends them."""

FORMATS: dict[str, str] = {
    "client_encoding": "UTF8",
    "datestyle": "ISO",  # without an order, which stays the role's
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "xmlbinary": "base64",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",  # the catalogue's expressions are compared with what queries say
}
"""How values are spelled."""

_TIMEOUTS: dict[str, str] = {
    "statement_timeout": "0",
    "lock_timeout": f"{LOCK_TIMEOUT_S}s",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}

WORK: dict[str, str] = {
    **_TIMEOUTS,
    **FORMATS,
    "timezone": "UTC",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    # Compiling takes longer than most statements of ours: with a stock server's `on` a race of 3 s took 40 s.
    "jit": "off",
}
"""For what may take long: seeding, copying, indexes, loads. Only a lock is not waited for."""

OWN: dict[str, str] = {
    **WORK,
    "search_path": "pg_catalog",
    "synchronous_commit": "on",  # what we note about a run outlives the crash that the run is there to see
}
"""The same for statements that are all ours and name every schema: nothing of the database can stand in front of
PostgreSQL's own tables, functions, operators and types."""

QUESTIONS: dict[str, str] = {**OWN, "statement_timeout": f"{QUESTION_TIMEOUT_S}s"}
"""For questions to the catalogue and to our own tables."""

CLIENT: dict[str, str] = {**WORK, "lock_timeout": "0"}
"""For a client of a run: it waits for locks, as long as the run lets it."""

_SINCE = {"idle_session_timeout": 140_000, "transaction_timeout": 170_000}


def audit_settings(timeout_s: float) -> Mapping[str, str]:
    """Return the settings for a transaction that judges; the time zone is the role's, as the queries' writers had it."""
    return {
        **_TIMEOUTS,
        **FORMATS,
        "statement_timeout": f"{max(1, int(timeout_s * 1000))}ms",
        "max_parallel_workers_per_gather": "0",  # queries run side by side; measured 1.6 times faster than parallel plans
        "jit": "off",  # compiling a scan of twenty filters takes longer than reading a million rows with them
        "row_security": "off",  # a policy that hides rows must fail the query, not pass for a clean table
    }


def statements_of(settings: Mapping[str, str], *, server_version: int, is_local: bool = False) -> str:
    """Return the statements that set them, as one text; what the server does not know yet is left out.

    Args:
        server_version: e.g. 150004.
        is_local: for the transaction under way only.
    """
    word = "set local" if is_local else "set"
    known = {name: value for name, value in settings.items() if server_version >= _SINCE.get(name, 0)}
    # The statement that runs while the role's own limit still holds is the first, and the shortest.
    lifted = [f"{word} statement_timeout = 0"] if "statement_timeout" in known else []
    ordered = sorted(known.items(), key=lambda setting: setting[0] == "statement_timeout")
    return "; ".join([*lifted, *(f"{word} {name} = {literal(value)}" for name, value in ordered)])
