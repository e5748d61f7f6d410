"""`integrity run`: let a profile's clients loose on a system."""

import secrets
from pathlib import Path

import click

from integrity.cli.number_types import SEED, Duration, Integer, Number
from integrity.cli.options import (
    database_option,
    embedded_server,
    go_on,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)
from integrity.errors import UsageError
from integrity.numbers import CLIENTS_MOST, CONNECTIONS_MOST, FACTOR_LEAST, FACTOR_MOST, RATE_LEAST, RATE_MOST
from integrity.report.terminal import write_json, write_note, write_result


@click.command(name="run")
@click.argument("profile")
@click.option("--system", "system_name", default="ghostpass", show_default=True, help="The system to load.")
@click.option("--bug", "bug_name", metavar="NAME", help="Plant this bug; without it the sound system runs.")
@click.option("--duration", type=Duration(), help="How long, e.g. 90s or 20m; default: the profile's.")
@click.option("--clients", type=Integer(1, CLIENTS_MOST), help="Clients; in a closed loop as many connections.")
@click.option(
    "--connections", type=Integer(1, CONNECTIONS_MOST), help="Connections that the clients of an open loop share."
)
@click.option("--rate", type=Number(RATE_LEAST, RATE_MOST), help="Arrivals per second in all, of an open loop.")
@click.option("--seed", type=SEED, help="Of every random choice; default: a new one.")
@click.option(
    "--time-scale",
    type=Number(FACTOR_LEAST, FACTOR_MOST),
    default=1.0,
    show_default=True,
    help="Compress an open loop: the same arrivals in duration/F.",
)
@click.option(
    "--fault",
    "faults",
    metavar="NAME[:KEY=VALUE,...]@FROM-TO",
    multiple=True,
    help="Let this go wrong, from FROM to TO (seconds, or percent of the run); `integrity faults` lists them.",
)
@click.option("--faults-may-overlap", is_flag=True, help="Allow several faults at a time.")
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    profile: str,
    system_name: str,
    bug_name: str | None,
    duration: float | None,
    clients: int | None,
    connections: int | None,
    rate: float | None,
    seed: int | None,
    time_scale: float,
    faults: tuple[str, ...],
    faults_may_overlap: bool,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Hammer a system with concurrent clients and record every call.

    \b
    Example: integrity run hammer --system ghostpass --bug double_credit
    """
    from integrity.faults.schedule import read_schedule
    from integrity.load.profile import OpenProfile, load_profile, scale
    from integrity.registry import Registry

    project = open_project(project_folder)
    system = Registry(project).find(system_name)
    bug = system.find_bug(bug_name) if bug_name is not None else None
    asked = {"duration_s": duration, "clients": clients, "connections": connections}
    overrides = project.settings.profiles.get(system.name, {})
    chosen = load_profile(system, profile, overrides, {key: value for key, value in asked.items() if value is not None})
    if isinstance(chosen, OpenProfile):
        chosen = scale(chosen, rate=rate / chosen.arrivals_per_s if rate else 1.0, time=time_scale)
    elif rate is not None or time_scale != 1.0:
        option = "--rate" if rate is not None else "--time-scale"
        raise UsageError(f"{option}: profile {profile} is a closed loop, it goes as fast as it can", hint="Leave it out.")

    planned = chosen.faults if isinstance(chosen, OpenProfile) else ()
    windows = read_schedule((*planned, *faults), duration_s=chosen.duration_s, may_overlap=faults_may_overlap)

    import os

    from integrity.load.run import RunRequest, run
    from integrity.report.run_text import render_run, show_progress

    target = open_target(project, database)
    is_embedded = project.database_url(database, os.environ) is None
    request = RunRequest(
        system=system,
        profile_name=profile,
        profile=chosen,
        time_scale=time_scale,
        target=target,
        project=project,
        seed=seed if seed is not None else secrets.randbelow(2**31),
        bug=bug,
        test_database=test_database,
        revive=embedded_server(project).revive if is_embedded else None,
        server=embedded_server(project) if is_embedded else None,
        faults=windows,
        faults_may_overlap=faults_may_overlap,
    )
    headline = (
        f"{system.name} {profile}: {chosen.title}; {chosen.clients} clients on {chosen.connection_count} connections, "
        f"{chosen.duration_s:g} s, seed {request.seed}, {'bug ' + bug.name if bug else 'no bug'}, {target}"
    )
    with show_progress() as listener:
        result = run(request, listener=listener, on_prepared=lambda: write_note(headline))
    if is_json:
        write_json(result.result.to_json())
    else:
        write_result(render_run(result.result, next_step=go_on("integrity validate", target, database)))
    return result.exit_code
