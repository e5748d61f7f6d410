"""The job of asking named queries: one for its rows, or many with values of the database, against their limits.

rows = listen(ask(choose_one(project, "ghostpass/wallet-statement", ("wallet_id=3",)), target, project, limit=50))
examined = listen(examine(choose(project, system_name="inbox"), target, project))
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

from integrity.database.namespace import inspect_database
from integrity.engines.server_text import Rows
from integrity.engines.snapshot import QueryFailed, Reader
from integrity.engines.spelling import NotPortable
from integrity.engines.target import Target
from integrity.errors import UsageError, quote
from integrity.events import Advanced, Job, Noted
from integrity.numbers import counted
from integrity.project import Project
from integrity.queries import examine as examining
from integrity.queries.examine import Examination
from integrity.queries.load import find_query, load_queries
from integrity.queries.run import show_query
from integrity.registry import Registry
from integrity.runs.unfinished import find_systems_that_ran
from integrity.seeds.load import Mode, seed_system, seeder_of
from integrity.sql.file import SqlFile
from integrity.sql.parameters import read_value
from integrity.systems.system import System
from integrity.typed import typed
from integrity.value import Value

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class ChosenQuery:
    """One query and the values that it is asked with; its other parameters have their defaults."""

    query: SqlFile
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ChosenQueries:
    """Queries to be examined, before the database is known.

    Args:
        systems: those of them that are about one are about these.
        known: all systems.
        is_named: somebody named the queries, or their system: none of them is left out as its system is not there.
        are_each_named: somebody named each: none is left out as there was no run.
    """

    queries: Sequence[SqlFile]
    systems: Sequence[str]
    known: Registry
    is_named: bool
    are_each_named: bool = False


def choose_one(project: Project, name: str, pairs: Sequence[str] = ()) -> ChosenQuery:
    """Return the query of that name with its values.

    Args:
        pairs: `name=value`, of parameters.

    Raises:
        UsageError: there is no such query, it cannot be used, or it has no such parameter or not that value.
    """
    query = find_query(load_queries(project), name)
    if query.fault:
        raise UsageError(query.fault)
    values = _read_values(query, pairs)
    query.values(values, now=datetime.now().astimezone())
    return ChosenQuery(query, values)


def choose(project: Project, *, names: Sequence[str] = (), system_name: str | None = None) -> ChosenQueries:
    """Return the queries of these names or of the system; without both the project's own, and those of the systems.

    Raises:
        UsageError: there is no such query or system, or none of those named is about it.
    """
    registry = Registry(project)
    if system_name:
        registry.check(system_name)
    known = load_queries(project)
    queries = [find_query(known, name) for name in names] if names else list(known.values())
    if system_name:
        queries = [query for query in queries if _system_of(query) == system_name]
    elif not names:
        queries = [query for query in queries if query.is_own or _system_of(query) in registry]
    if not queries:
        said = f"no query of {system_name} was named" if names else f"there is no query of {system_name}"
        raise UsageError(said, hint=f"`{typed('queries list')}` shows their names.")
    about = dict.fromkeys(name for query in queries if (name := _system_of(query)) in registry)
    return ChosenQueries(queries, tuple(about), registry, is_named=bool(names or system_name), are_each_named=bool(names))


def ask(chosen: ChosenQuery, target: Target, project: Project, *, limit: int) -> Rows:
    """Return the first rows of a query.

    Raises:
        UsageError: the database refuses it, or it could do more than read.
    """
    query = chosen.query
    with _open_session(target) as (session, now), _naming_refusals(query, target):
        if refused := _find_refused(session, [query], project):
            raise UsageError(f"{query.path}: not asked: {refused[query.name]}")
        return show_query(session, query, chosen.values, now=now, row_limit=limit)


def examine(
    chosen: ChosenQueries, target: Target, project: Project, *, scale: float | None = None
) -> Job[list[Examination]]:
    """Ask the queries with values of the database, and hold them against their limits.

    Args:
        scale: on worlds so many times as large as the default, in a database of their own that is dropped afterwards.

    Raises:
        UsageError: the database does not hold what was named.
        DatabaseError: the server is gone.
    """
    with ExitStack() as stack:
        if scale is not None:
            target = stack.enter_context(target.make_scratch("queries"))
            yield from _fill(target, [chosen.known.find(name) for name in chosen.systems], scale)
        queries = yield from _leave_out_missing(chosen, target)
        if not chosen.are_each_named:
            queries = yield from _without_runs_that_were_not(queries, target)
        session, now = stack.enter_context(_open_session(target))
        refused = _find_refused(session, queries, project)
        examined: list[Examination] = []
        for examination in examining.examine(session, queries, now=now, refused=refused):
            examined.append(examination)
            yield Advanced("asking", examination.query.name, len(examined), len(queries))
        return examined


def _fill(scratch: Target, systems: Sequence[System], scale: float) -> Job[None]:
    for system in systems:
        sizes = {size.name: min(size.most, max(1, round(size.default * scale))) for size in seeder_of(system).sizes}
        yield Noted(f"{system.name}: making {', '.join(f'{n:,} {name}' for name, n in sizes.items())}")
        seed_system(scratch, inspect_database(scratch), system, sizes=sizes, seed=1, mode=Mode.NEW)


def _leave_out_missing(chosen: ChosenQueries, target: Target) -> Job[list[SqlFile]]:
    """Return the queries whose system is in the database."""
    target.require()
    held = inspect_database(target).systems
    missing = set(chosen.systems) - set(held)
    left = [query for query in chosen.queries if _system_of(query) not in missing]
    if not left and not chosen.is_named:
        raise UsageError(
            f"nothing to ask: the project has no queries of its own, and {target} holds none of the systems that ours are "
            "about",
            hint=f"Put a .sql file into queries/, or make a system of ours: {typed('seed')}",
        )
    if not left or (missing and chosen.is_named):
        raise UsageError(f"{target} holds no {' and no '.join(sorted(missing))}", hint=f"`{typed('seed')}` makes it.")
    own = {_system_of(query) for query in chosen.queries if query.is_own}
    for name in sorted(missing & own if own else missing):  # of ours nothing is said where there are the project's own
        yield Noted(f"{name} is not in the database: its queries are left out")
    return left


def _without_runs_that_were_not(queries: list[SqlFile], target: Target) -> Job[list[SqlFile]]:
    """Leave out what is asked of a run alone, where no run of its system is recorded; say so."""
    of_runs = {query.name: _system_of(query) for query in queries if query.is_of_a_run}
    ran = find_systems_that_ran(target) if of_runs else set()
    left_out = {name: system for name, system in of_runs.items() if system not in ran}
    if left_out:
        named = " or ".join(dict.fromkeys(left_out.values()))
        many = counted(len(left_out), "query about a run is", "queries about a run are")
        yield Noted(f"no run of {named} is recorded: {many} left out")
    return [query for query in queries if query.name not in left_out]


def _system_of(query: SqlFile) -> str:
    return query.name.partition("/")[0]


def _find_refused(session: Reader, queries: Sequence[SqlFile], project: Project) -> dict[str, str]:
    """Return name -> why, of the queries that could do more than read, and are not asked."""
    broken = {query.name: query.fault for query in queries if query.fault}
    texts = {
        query.name: ";".join([query.numbered, *(sample.query for sample in query.samples)])
        for query in queries
        if not query.fault
    }
    return session.find_refusals(texts, project.settings.audit.functions) | broken


def _read_values(query: SqlFile, pairs: Sequence[str]) -> dict[str, Value]:
    """Return the values of `name=value`, by the types that the query declares."""
    types = query.types
    values: dict[str, Value] = {}
    for pair in pairs:
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
def _open_session(target: Target) -> Iterator[tuple[Reader, datetime]]:
    """Yield a session on a snapshot of its own, and the time of the snapshot."""
    with target.open_snapshot(connections=1, timeout_s=TIMEOUT_S) as snapshot:
        yield snapshot.sessions[0], snapshot.taken_at


@contextmanager
def _naming_refusals(query: SqlFile, target: Target) -> Iterator[None]:
    """Turn what the database refuses into an error with its place."""
    try:
        yield
    except QueryFailed as error:
        place = query.describe_server_error(error.reason, position=error.position, hint=error.hint)
        raise UsageError(place) from None
    except NotPortable as error:
        raise UsageError(
            f"{query.path}: cannot be asked of {target.engine.title}: {error}", hint=f"Not of {target}."
        ) from None
