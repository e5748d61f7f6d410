"""`integrity health`: is the target fit for a run; and afterwards, what was left open."""

from pathlib import Path

import click

from integrity.cli.options import database_option, json_option, open_project, open_target, project_option
from integrity.exit_codes import ExitCode
from integrity.report.terminal import write_json, write_result


@click.command()
@click.option("--system", "system_name", metavar="NAME", help="Expect this one; default: those that were seeded.")
@click.option("--after", "is_after", is_flag=True, help="Look at what is left open instead: transactions, locks, runs.")
@database_option
@project_option
@json_option
def command(*, system_name: str | None, is_after: bool, database: str | None, project_folder: Path, is_json: bool) -> int:
    """Check a database before a run, or with --after when it is over; each check with its figure and the next step.

    Exits with 3 when a check failed: what a run said of this target would not be known to be so. A warning exits with 0.

    \b
    Example: integrity health --system ghostpass
    """
    from integrity.errors import DatabaseError
    from integrity.health.after import check_after
    from integrity.health.before import check_before
    from integrity.health.check import State, unreachable, worst
    from integrity.load.profile import load_profile, profile_names
    from integrity.registry import Registry
    from integrity.report.health_text import health_fields, render_health

    project = open_project(project_folder)
    registry = Registry(project)
    systems = [registry.find(system_name)] if system_name is not None else list(registry.values())
    try:
        target = open_target(project, database)
    except DatabaseError as error:  # the embedded server does not start
        checks = [unreachable(error)]
    else:
        if is_after:
            checks = check_after(target, systems, project)
        else:
            needs = {}
            for system in systems:
                own = project.settings.profiles.get(system.name, {})
                needs[system.name] = {
                    name: load_profile(system, name, own).connection_count for name in profile_names(system, own)
                }
            checks = check_before(target, systems, needs, is_required=system_name is not None)
    if is_json:
        write_json(health_fields(checks))
    else:
        write_result(render_health(checks))
    return ExitCode.UNKNOWN if worst(checks) is State.FAILED else ExitCode.OK
