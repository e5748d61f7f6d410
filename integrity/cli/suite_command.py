"""`integrity suite`: profiles one after the other, an audit after each, one report of all."""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

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
    from integrity.runs.suites import SuiteRecord, SuiteStep
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
    from integrity.runs.suites import SuiteRecord

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
    steps: list[SuiteStep] = []
    shortfalls: set[Shortfall] = set()
    for number, each in enumerate(planned):
        write_note(f"\n[{number + 1}/{len(planned)}] {each.system.name} {each.profile_name}")
        is_embedded = target.text == embedded_server(project).target.text if not target.is_sqlite else False
        step, fell_short = _play(each, target, project, seed + number, test_database, is_embedded=is_embedded)
        steps.append(step)
        shortfalls |= fell_short
        if step.state == "interrupted":
            break
    record = SuiteRecord(suite=name, seed=seed, shorten=shorten, planned=len(planned), steps=tuple(steps))
    file = _write(project, record)
    if is_json:
        write_json_text(render_suite_json(record))
    else:
        write_result(render_suite(record, file))
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
) -> "tuple[SuiteStep, frozenset[Shortfall]]":
    """Run one profile and judge the data; return the record of both, and what fell short."""
    from integrity.audit import AuditSettings, audit
    from integrity.faults.schedule import read_schedule
    from integrity.invariants.load import load_invariants, system_of
    from integrity.load.profile import OpenProfile
    from integrity.load.run import RunRequest, run
    from integrity.registry import Registry
    from integrity.report.audit_report import collect
    from integrity.report.run_text import show_progress
    from integrity.runs.suites import make_step

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
    codes = (int(result.exit_code), int(report.exit_code))
    step = make_step(result.result, audit=report.sentence, exit_codes=codes)
    return step, result.shortfalls | report.shortfalls


def _write(project: "Project", record: "SuiteRecord") -> Path:
    from datetime import datetime

    from integrity.runs.suites import write_suite

    folder = project.state_folder / "suites"
    folder.mkdir(parents=True, exist_ok=True)
    return write_suite(folder, f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{record.suite}", record)
