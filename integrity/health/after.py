"""Health after a run, or after something went wrong: what is left open, and what was written last."""

from collections.abc import Iterator, Sequence

import psycopg
from psycopg import sql
from sqlalchemy import DateTime, Table

from integrity.database.contents import Contents, inspect_database
from integrity.database.names import name_of
from integrity.engines.places import schema_of
from integrity.engines.postgresql.temporary import find_left_over
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import DatabaseError, Unreachable
from integrity.health.check import HealthCheck, ok, some, unreachable, warning
from integrity.health.server import Row, Server, open_server
from integrity.project import Project
from integrity.runs.folder import RunFolder
from integrity.systems.system import System
from integrity.typed import typed

IDLE_S_MOST = 5.0
LONG_S = 30.0
MINUTES = 10
COUNT_S_MOST = 2.0  # a table without an index on its times is read whole: what takes longer is not cheap

_RUNNING = "select run_id from integrity.runs where state = 'running' order by run_id"
_BEATING = "select run_id from integrity.runs where state = 'running' and alive_until > {now} order by run_id"


def check_after(target: Target, systems: Sequence[System], project: Project) -> list[HealthCheck]:
    """Return what is left open on the target.

    Args:
        systems: whose last rows are counted, where their tables are there.
        project: whose run folders say which runs still live.
    """
    try:
        unread: list[HealthCheck] = []
        try:
            contents = inspect_database(target)
        except DatabaseError as error:
            if isinstance(error, Unreachable) or not target.engine.has_roles:
                raise
            contents = Contents("", {}, (), {})
            hint = "Let it: grant usage on the schema integrity, and select on its tables."
            unread = [warning("contents", f"runs are not looked at: {error.message.partition(' LINE ')[0]}", hint)]
        has_runs = "runs" in contents.ours.get("integrity", ())
        if not target.engine.has_server:
            return [_check_runs(*(_running_in_file(target) if has_runs else ([], [])), project)]
        with open_server(target, timeout_s=COUNT_S_MOST) as server:
            hidden = server.ask("hidden-sessions")[0]["sessions"]
            checks = [
                *_check_sessions(server.ask("open-sessions"), hidden),
                _check_prepared(server.ask("prepared-transactions")),
            ]
            noted = server.read_column(_RUNNING) if has_runs else []
            beating = server.read_column(_BEATING.format(now="clock_timestamp()")) if has_runs else []
            checks += unread or [_check_runs(noted, beating, project)]
            with target.asking() as connection:
                checks.append(_check_forgotten(find_left_over(connection)))
            here = [system for system in systems if contents.holds(system)]
            return [*checks, *(_check_recent(server, system, contents) for system in here)]
    except psycopg.Error as error:
        return [unreachable(refusal(target, error))]
    except DatabaseError as error:
        return [unreachable(error)]


def _check_sessions(sessions: Sequence[Row], hidden: int) -> Iterator[HealthCheck]:
    """Check what this role sees; what others' sessions do is told to nobody who may not know it."""
    idle = [row for row in sessions if row["state"].startswith("idle in transaction") and row["state_s"] > IDLE_S_MOST]
    blocked = [row for row in sessions if row["is_blocked"]]
    long = [row for row in sessions if row["transaction_s"] > LONG_S and row not in idle]
    seen = " of those that this role sees" if hidden else ""
    if hidden:
        said = f"{hidden} of other roles hide what they do: whether they hold or wait for something is not known"
        yield warning("sessions", said, "grant pg_read_all_stats to this role to see it")
    end = "Find out why it was left; to end it: select pg_terminate_backend({})"
    if idle:
        yield warning("idle in transaction", some([_describe(row) for row in idle]), end.format(idle[0]["pid"]))
    else:
        yield ok("idle in transaction", f"none{seen} for more than {IDLE_S_MOST:g} s")
    if blocked:
        yield warning(
            "blocked",
            some([_describe(row) for row in blocked]),
            f"{typed('monitor')} names who holds them up.",
        )
    else:
        yield ok("blocked", f"nobody{seen} waits for a lock")
    if long:
        yield warning("long transactions", some([_describe(row) for row in long]), end.format(long[0]["pid"]))
    else:
        yield ok("long transactions", f"none{seen} older than {LONG_S:g} s")


def _describe(row: Row) -> str:
    who = row["application"] or "a session"
    return (
        f"{who} (pid {row['pid']}, transaction {row['transaction_s']:.0f} s old): {' '.join(row['statement'].split())[:80]}"
    )


def _check_prepared(prepared: Sequence[Row]) -> HealthCheck:
    if not prepared:
        return ok("prepared transactions", "none")
    names = some([f"{row['name']!r} of {row['owner']}, {row['age_s']:.0f} s old" for row in prepared])
    return warning("prepared transactions", names, f"To end one: rollback prepared '{prepared[0]['name']}'")


def _check_runs(noted: Sequence[str], beating: Sequence[str], project: Project) -> HealthCheck:
    """A run that is noted as running was killed when nobody holds its folder, and it gave no sign of life for a while."""
    folders = {run_id: RunFolder(project.runs_folder / run_id) for run_id in noted}
    # Where its folder is, its lock tells at once; the sign of life is for runs of other folders and machines.
    alive = [
        name for name, folder in folders.items() if folder.is_alive() or (name in beating and not folder.path.exists())
    ]
    dead = [run_id for run_id in noted if run_id not in alive]
    if dead:
        said = f"{len(dead)} noted as running, and not alive in {project.runs_folder}: {some(dead)}"
        give_up = typed(f"forget {dead[0]}")
        hint = f"Killed: {typed('validate')} loads its history where its folder is; else give it up: {give_up}"
        return warning("runs", said, hint)
    return ok("runs", f"{len(alive)} running: {some(alive)}" if alive else "none is running, none was killed")


def _check_forgotten(left: Sequence[str]) -> HealthCheck:
    if left:
        said = f"{len(left)} that a killed command made: {some(left)}"
        return warning("temporary databases", said, "The next snapshot, restore or race drops them.")
    return ok("temporary databases", "none is left over")


def _running_in_file(target: Target) -> tuple[list[str], list[str]]:
    """Return the runs that are noted as running, and those of them that gave a sign of life."""
    with target.open_line(("integrity",), is_read_only=True) as line:
        noted, beating = line.ask(_RUNNING), line.ask(_BEATING.format(now=line.now))
        return [row[0] for row in noted], [row[0] for row in beating]


def _check_recent(server: Server, system: System, contents: Contents) -> HealthCheck:
    """How much was written last, by table; for people, there is nothing wrong with either."""
    counts, unknown = [], []
    for table in system.metadata.sorted_tables:
        column = _time_column(table)
        if column is None or not contents.has(table):
            continue
        query = sql.SQL("select count(*) from {} where {} > clock_timestamp() - make_interval(mins => {})").format(
            sql.Identifier(schema_of(table), table.name), sql.Identifier(column), sql.Literal(MINUTES)
        )
        count = server.count(query)
        if count is None:
            unknown.append(name_of(table))
        elif count:
            counts.append(f"{name_of(table)} {count:,}")
    said = ", ".join(counts) or "no rows"
    more = f"; too large to count in {COUNT_S_MOST:g} s: {', '.join(unknown)}" if unknown else ""
    return ok(f"{system.name}: last {MINUTES} minutes", f"{said}{more}")


def _time_column(table: Table) -> str | None:
    """Return the column that says when a row came to be: the first time that every row has."""
    return next(
        (column.name for column in table.columns if isinstance(column.type, DateTime) and not column.nullable), None
    )
