"""A seeded world of a system, its runs, and what an audit says of it: what the detection tests share."""

from datetime import timedelta
from pathlib import Path

from integrity.audit import AuditSettings, audit
from integrity.clients.http import Server
from integrity.database.namespace import inspect_database
from integrity.endpoints.login import api_key_of, password_of
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.events import InvariantJudged
from integrity.http.origin import read_origin
from integrity.invariants.load import load_invariants
from integrity.load.over_http import OverHttp, asked_over_http
from integrity.load.profile import load_profile
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.project import Project, Settings
from integrity.queries.run import run_query
from integrity.runs.result import RunResult
from integrity.seeds.load import Mode, seed_system
from integrity.sql.file import SqlFile
from integrity.systems.system import Bug, System
from integrity.verdict import Verdict

SIZES = {"wallets": 300, "streamers": 20, "users": 60, "businesses": 6, "conversations": 150, "messages": 1_500}
"""Small: what is hammered is hot keys, and the rest only makes audits longer."""

HAMMER_S_MOST = 120.0


def make_seeded(server: EmbeddedServer, system: System, name: str) -> Target:
    """Make a database of that name that holds the system."""
    with server.target.connect() as connection:
        connection.execute(f"create database {name}")
    target = Target(server.target.url.set(database=name))
    seed_system(target, inspect_database(target), system, sizes=SIZES, seed=1, mode=Mode.NEW)
    return target


def hammer(target: Target, project: Project, system: System, *, seed: int, bug: Bug | None, calls: int) -> RunResult:
    """Let the system's hammer profile loose for so many calls, whatever time they take; return the result."""
    profile = load_profile(system, "hammer", {}, {"duration_s": HAMMER_S_MOST, "calls_most": calls})
    request = RunRequest(
        system=system, profile_name="hammer", profile=profile, target=target, project=project, seed=seed, bug=bug
    )
    return run(request).result


def hammer_over_http(target: Target, project: Project, system: System, url: str, *, seed: int, calls: int) -> RunResult:
    """Let it loose on a server of the system's in the same way."""
    profile = load_profile(system, "hammer", {}, {"duration_s": HAMMER_S_MOST, "calls_most": calls})
    asked, left, not_run = asked_over_http(system, profile)
    served = Server(read_origin(url, place="the test"), asked, password=password_of(), api_key=api_key_of())
    request = RunRequest(
        system=asked,
        profile_name="hammer",
        profile=left,
        target=target,
        project=project,
        seed=seed,
        over=OverHttp(served, not_run),
    )
    return run(request).result


def judge(target: Target, project: Project, system: System) -> dict[str, InvariantJudged]:
    """Return what an audit says of each of the system's invariants."""
    events = audit(target, invariants_of(project, system), AuditSettings())
    return {event.finding.name: event for event in events if isinstance(event, InvariantJudged)}


def violated(judged: dict[str, InvariantJudged]) -> set[str]:
    """Return the names of those that are violated; none may be unknown."""
    unknown = {name: event.finding.reason for name, event in judged.items() if event.finding.verdict is Verdict.UNKNOWN}
    assert unknown == {}, unknown
    return {name for name, event in judged.items() if event.finding.verdict is Verdict.VIOLATED}


def invariants_of(project: Project, system: System) -> list[SqlFile]:
    """Return the system's invariants."""
    return [file for file in load_invariants(project).values() if file.name.startswith(f"{system.name}/")]


def stuck(target: Target, system: System, *, later: timedelta = timedelta(0)) -> dict[str, int]:
    """Return the rows that the system's invariants about time find, those that find any, at that time after now."""
    found: dict[str, int] = {}
    with target.open_snapshot(connections=1, timeout_s=60) as snapshot:
        for name, file in load_invariants(Project(Path(), Settings())).items():
            is_about_time = "timestamptz" in {parameter.type for parameter in file.parameters}
            if name.startswith(f"{system.name}/") and is_about_time:
                now = snapshot.taken_at + later
                rows = run_query(snapshot.sessions[0], file, {}, now=now)
                found |= {name: len(rows)} if rows else {}
    return found
