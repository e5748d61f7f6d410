"""`integrity suite`: profiles one after the other, an audit after each, one report of all."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from integrity.cli.number_types import SEED, Number
from integrity.cli.options import (
    database_option,
    embedded_server,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)
from integrity.exit_codes import ExitCode, Shortfall, exit_code_of
from integrity.numbers import FACTOR_LEAST, FACTOR_MOST
from integrity.report.terminal import write_json_text, write_note, write_result

if TYPE_CHECKING:
    from integrity.engines.target import Target
    from integrity.load.suite import Planned
    from integrity.project import Project
    from integrity.registry import Registry
    from integrity.systems.system import System


@click.command(name="suite")
@click.argument("name")
@click.option("--system", "system_names", metavar="NAME", multiple=True, help="These systems; else all in the database.")
@click.option(
    "--shorten",
    type=Number(FACTOR_LEAST, FACTOR_MOST),
    default=1.0,
    show_default=True,
    help="Divide every length by F, at the same rates.",
)
@click.option("--seed", type=SEED, help="Of every random choice; default: a new one.")
@click.option("--plan", "is_plan", is_flag=True, help="Say what would be run and how long it takes; run nothing.")
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    name: str,
    system_names: tuple[str, ...],
    shorten: float,
    seed: int | None,
    is_plan: bool,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Run an ordered list of profiles, judge the data after each, and report on all of them together.

    \b
    Example: integrity suite quick --system ghostpass --shorten 2
    """
    from integrity.load.suite import load_suite, plan_suite
    from integrity.registry import Registry
    from integrity.report.suite_text import render_plan, render_suite, render_suite_json

    project = open_project(project_folder)
    suite = load_suite(name, project.settings.suites)
    registry = Registry(project)
    named = [registry.find(each) for each in system_names]
    target = None if is_plan and named else open_target(project, database)
    systems = named or _systems_in(target, registry)
    planned = plan_suite(suite, systems, project.settings.profiles, shorten=shorten)
    (write_result if is_plan else write_note)(render_plan(name, suite.title, planned, shorten))
    if is_plan or target is None:
        return ExitCode.OK
    seed = seed if seed is not None else secrets.randbelow(2**31)
    records: list[dict[str, Any]] = []
    shortfalls: set[Shortfall] = set()
    for number, each in enumerate(planned):
        write_note(f"\n[{number + 1}/{len(planned)}] {each.system.name} {each.profile_name}")
        is_embedded = target.text == embedded_server(project).target.text if not target.is_sqlite else False
        played, fell_short = _play(each, target, project, seed + number, test_database, is_embedded=is_embedded)
        records.append(played)
        shortfalls |= fell_short
        if records[-1]["state"] == "interrupted":
            break
    folder = _write(project, name, records)
    record = {"suite": name, "seed": seed, "shorten": shorten, "planned": len(planned), "steps": records}
    if is_json:
        write_json_text(render_suite_json(record))
    else:
        write_result(render_suite(record, folder))
    return exit_code_of(shortfalls)


def _systems_in(target: "Target | None", registry: "Registry") -> "list[System]":
    from integrity.database.namespace import inspect_database
    from integrity.errors import UsageError

    held = inspect_database(target).systems if target is not None else ()
    if not held:
        raise UsageError(f"{target} holds no system", hint="`integrity seed` makes them.")
    return [registry[name] for name in registry if name in held]


def _play(
    planned: "Planned",
    target: "Target",
    project: "Project",
    seed: int,
    test_database: str | None,
    *,
    is_embedded: bool,
) -> tuple[dict[str, Any], frozenset[Shortfall]]:
    """Run one profile and judge the data; return the record of both, and what fell short."""
    from integrity.audit import AuditSettings, audit
    from integrity.faults.schedule import read_schedule
    from integrity.invariants.load import load_invariants, system_of
    from integrity.load.profile import OpenProfile
    from integrity.load.run import RunRequest, run
    from integrity.registry import Registry
    from integrity.report.audit_report import collect
    from integrity.report.run_text import show_progress

    server = embedded_server(project) if is_embedded else None
    profile = planned.profile
    faults = profile.faults if isinstance(profile, OpenProfile) else ()
    request = RunRequest(
        system=planned.system,
        profile_name=planned.profile_name,
        profile=profile,
        target=target,
        project=project,
        seed=seed,
        test_database=test_database,
        revive=server.revive if server else None,
        server=server,
        faults=read_schedule(faults, duration_s=profile.duration_s),
    )
    with show_progress() as listener:
        result = run(request, listener=listener)
    known = load_invariants(project, system=planned.system.name).values()
    files = [file for file in known if file.is_own or system_of(file.name, Registry(project)) == planned.system.name]
    report = collect(
        audit(target, files, AuditSettings(trusted_functions=project.settings.audit.functions)),
        fails_on_empty=project.settings.audit.empty == "unknown",
    )
    record = {
        **{key: result.result[key] for key in ("run_id", "folder", "system", "profile", "seed", "state", "thresholds")},
        "elapsed_s": result.result["elapsed_s"],
        "total": result.result["operations"][-1],
        "arrivals": result.result["arrivals"],
        **{key: result.result[key] for key in ("search", "sweep", "recovery_s", "slopes") if key in result.result},
        "audit": report.sentence,
        "exit_codes": [int(result.exit_code), int(report.exit_code)],
    }
    return record, result.shortfalls | report.shortfalls


def _write(project: "Project", name: str, records: Sequence[dict[str, Any]]) -> Path:
    from datetime import datetime

    import orjson

    folder = project.state_folder / "suites"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{name}.json"
    file.write_bytes(orjson.dumps({"suite": name, "steps": list(records)}, option=orjson.OPT_INDENT_2))
    return file
