"""`integrity queries`: the named queries, their answers, and how fast and by which indexes they are answered."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrity.cli.number_types import Integer, Number
from integrity.cli.options import database_option, json_option, open_project, open_target, project_option
from integrity.errors import UsageError, quote
from integrity.exit_codes import ExitCode, exit_code_of
from integrity.parameters import read_value
from integrity.report.terminal import write_json_text, write_note, write_result

if TYPE_CHECKING:
    from integrity.engines.snapshot import Session
    from integrity.engines.target import Target
    from integrity.operation import Value
    from integrity.project import Project
    from integrity.registry import Registry
    from integrity.sqlfile import SqlFile
    from integrity.systems.system import System

TIMEOUT_S = 60.0
ROWS_SHOWN = 50


@click.group(name="queries")
def command() -> None:
    """Ask the named queries, and hold them against their limits.

    \b
    Example: integrity queries run --system inbox --explain
    """


@command.command(name="list")
@click.option("--system", "system_name", metavar="NAME", help="Those of this system only.")
@project_option
def list_queries(*, system_name: str | None, project_folder: Path) -> int:
    """List the named queries with what each needs and must keep.

    \b
    Example: integrity queries list --system inbox
    """
    from integrity.queries.load import load_queries
    from integrity.registry import Registry
    from integrity.report.queries_text import render_query_list

    project = open_project(project_folder)
    queries = load_queries(project).values()
    if system_name is not None:
        Registry(project).check(system_name)
    write_result(render_query_list([q for q in queries if system_name in (None, q.name.partition("/")[0])]))
    return ExitCode.OK


@command.command(name="ask")
@click.argument("name")
@click.option("--set", "given", metavar="NAME=VALUE", multiple=True, help="A parameter's value.")
@click.option("--limit", type=Integer(1, 1_000_000), default=ROWS_SHOWN, show_default=True, help="Rows to show.")
@database_option
@project_option
@json_option
def ask(*, name: str, given: tuple[str, ...], limit: int, database: str | None, project_folder: Path, is_json: bool) -> int:
    """Show the rows of one query.

    \b
    Example: integrity queries ask ghostpass/wallet-statement --set wallet_id=3
    """
    from integrity.queries.load import find_query, load_queries
    from integrity.queries.run import show_query
    from integrity.report.queries_text import render_rows, render_rows_json

    project = open_project(project_folder)
    query = find_query(load_queries(project), name)
    if query.fault:
        raise UsageError(query.fault)
    values = _values(query, given)
    query.values(values, now=datetime.now().astimezone())  # before a server is started for nothing
    target = open_target(project, database)
    with _session(target) as (session, now), _answering(query, target):
        if refused := _find_refused(session, [query], project):
            raise UsageError(f"{query.path}: not asked: {refused[query.name]}")
        rows = show_query(session, query, values, now=now, row_limit=limit)
    if is_json:
        write_json_text(render_rows_json(rows))
    else:
        write_result(render_rows(rows, limit))
    return ExitCode.OK


@command.command(name="run")
@click.argument("names", nargs=-1)
@click.option("--system", "system_name", metavar="NAME", help="Those of this system only; else of all that are there.")
@click.option("--explain", "is_explained", is_flag=True, help="Show the whole shape of each plan.")
@click.option(
    "--scale",
    type=Number(0.0001, 1000),
    help="On a world of its own, F times as large as the default, that is dropped afterwards.",
)
@database_option
@project_option
@json_option
def run(
    *,
    names: tuple[str, ...],
    system_name: str | None,
    is_explained: bool,
    scale: float | None,
    database: str | None,
    project_folder: Path,
    is_json: bool,
) -> int:
    """Ask queries with values of the database, against their limits.

    Shown are the time and the plan of each, and whether it keeps its limits.

    \b
    Example: integrity queries run --system inbox --explain
    """
    from integrity.queries.examine import examine
    from integrity.registry import Registry
    from integrity.report.queries_text import render_examinations, render_examinations_json

    project = open_project(project_folder)
    registry = Registry(project)
    systems = [registry.find(system_name)] if system_name else list(registry.values())
    chosen = _choose(project, names, {system.name for system in systems}, system_name)
    target = open_target(project, database)
    with ExitStack() as stack:
        if scale is not None:
            target = stack.enter_context(_scaled(target, systems, scale))
        chosen = _present(chosen, target, registry, is_asked_for=bool(names or system_name))
        session, now = stack.enter_context(_session(target))
        refused = _find_refused(session, chosen, project)
        examined = list(examine(session, chosen, now=now, refused=refused))
    if is_json:
        write_json_text(render_examinations_json(examined))
    else:
        write_result(render_examinations(examined, is_explained=is_explained))
    return exit_code_of({each.shortfall for each in examined if each.shortfall})


def _choose(project: "Project", names: tuple[str, ...], systems: set[str], system_name: str | None) -> "list[SqlFile]":
    """Return the queries of these names, or all; where a system was named, or none of them, those of the systems."""
    from integrity.queries.load import find_query, load_queries

    known = load_queries(project)
    chosen = [find_query(known, name) for name in names] if names else list(known.values())
    if system_name or not names:
        chosen = [query for query in chosen if query.name.partition("/")[0] in systems]
    if not chosen:
        raise UsageError(f"no query of {system_name} was named", hint="`integrity queries list` shows their names.")
    return chosen


def _find_refused(session: "Session", queries: "Sequence[SqlFile]", project: "Project") -> "dict[str, str]":
    """Return name -> why, of the queries that could do more than read, and are not asked."""
    broken = {query.name: query.fault for query in queries if query.fault}
    texts = {
        query.name: ";".join([query.numbered, *(sample.query for sample in query.samples)])
        for query in queries
        if not query.fault
    }
    return session.find_refusals(texts, project.settings.audit.functions) | broken


def _present(
    queries: "Sequence[SqlFile]", target: "Target", registry: "Registry", *, is_asked_for: bool
) -> "list[SqlFile]":
    """Return the queries whose system is in the database."""
    from integrity.database.namespace import inspect_database

    held = inspect_database(target).systems
    missing = {query.name.partition("/")[0] for query in queries} & set(registry) - set(held)
    left = [query for query in queries if query.name.partition("/")[0] not in missing]
    if not left or (missing and is_asked_for):
        raise UsageError(f"{target} holds no {' and no '.join(sorted(missing))}", hint="`integrity seed` makes it.")
    for name in sorted(missing):
        write_note(f"{name} is not in the database: its queries are left out")
    return left


def _values(query: "SqlFile", given: Sequence[str]) -> "dict[str, Value]":
    """Return the values of `--set name=value`, by the types that the query declares."""
    types = {parameter.name: parameter.type for parameter in query.parameters}
    values: dict[str, Value] = {}
    for pair in given:
        name, separator, text = pair.partition("=")
        if not separator:
            raise UsageError(
                f"--set {quote(pair)}: not NAME=VALUE", hint=f"The parameters are: {', '.join(types) or 'none'}."
            )
        try:
            values[name] = read_value(types.get(name, "text"), text)
        except ValueError:
            raise UsageError(
                f"--set {name}: {quote(text)} is no {types[name]}", hint=f"{query.name} declares it with that type."
            ) from None
    return values


@contextmanager
def _session(target: "Target") -> "Iterator[tuple[Session, datetime]]":
    """Yield a session on a snapshot of its own, and the time of the snapshot."""

    with target.open_snapshot(connections=1, timeout_s=TIMEOUT_S) as snapshot:
        yield snapshot.sessions[0], snapshot.taken_at


@contextmanager
def _answering(query: "SqlFile", target: "Target") -> Iterator[None]:
    """Turn what the database refuses into an error with its place."""
    from integrity.engines.snapshot import QueryFailed
    from integrity.engines.spelling import NotPortable

    try:
        yield
    except QueryFailed as error:
        place = query.describe_server_error(error.reason, position=error.position, hint=error.hint)
        raise UsageError(place) from None
    except NotPortable as error:
        raise UsageError(
            f"{query.path}: cannot be asked of {target.engine.title}: {error}", hint=f"Not of {target}."
        ) from None


@contextmanager
def _scaled(target: "Target", systems: "Sequence[System]", scale: float) -> "Iterator[Target]":
    """Yield a database of its own beside the target, filled with worlds so many times as large as the default."""
    from integrity.database.namespace import inspect_database
    from integrity.seeds.load import Mode, seed_system, seeder_of

    with target.make_scratch("queries") as scratch:
        for system in systems:
            sizes = {size.name: min(size.most, max(1, round(size.default * scale))) for size in seeder_of(system).sizes}
            write_note(f"{system.name}: making {', '.join(f'{n:,} {name}' for name, n in sizes.items())}")
            contents = inspect_database(scratch)
            seed_system(scratch, contents, system, sizes=sizes, seed=1, mode=Mode.NEW)
        yield scratch
