"""`integrity run`: let a profile's clients loose on a system."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from integrity.cli.known_names import PROFILE, wanted_unless
from integrity.cli.number_types import SEED, Duration, Integer, NumberType
from integrity.cli.options import (
    application_options,
    asked_options,
    database_option,
    environment_option,
    json_option,
    open_project,
    open_target,
    process_count_option,
    project_option,
    test_database_option,
)
from integrity.numbers import (
    CLIENTS_MOST,
    CONNECTIONS_MOST,
    FACTOR_LEAST,
    FACTOR_MOST,
    RATE_LEAST,
    RATE_MOST,
)
from integrity.registry import DEFAULT_SYSTEM

if TYPE_CHECKING:
    from integrity.monitor.watched import WatchedApplication


@click.command(name="run")
@click.argument("profile", type=PROFILE, required=False, callback=wanted_unless("resumed"))
@click.option(
    "--resume", "resumed", metavar="RUN", is_eager=True, help="Go on with this interrupted run, for what is left."
)
@click.option("--system", "system_name", metavar="NAME", show_default=f"the project's own, else {DEFAULT_SYSTEM}",
              help="The system to load.")  # fmt: skip
@click.option("--bug", "bug_name", metavar="NAME", help="Plant this bug; without it the sound system runs.")
@click.option("--duration", "duration_s", type=Duration(), help="How long, e.g. 90s or 20m; default: the profile's.")
@click.option("--clients", type=Integer(1, CLIENTS_MOST), help="Clients; in a closed loop as many connections.")
@click.option(
    "--users",
    metavar="N[,N...]|P%of:RUN",
    help="Clients, streams and rate of an open loop at once; several: a sweep; P% of what RUN found safe.",
)
@asked_options
@click.option(
    "--connections", type=Integer(1, CONNECTIONS_MOST), help="Connections that the clients of an open loop share."
)
@click.option("--rate", type=NumberType(RATE_LEAST, RATE_MOST), help="Arrivals per second in all, of an open loop.")
@click.option("--seed", type=SEED, help="Of every random choice; default: a new one.")
@click.option(
    "--time-scale",
    type=NumberType(FACTOR_LEAST, FACTOR_MOST),
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
@click.option(
    "--target",
    "over",
    metavar="URL",
    help="Ask a server over HTTP instead of the database: this machine's, or a target of integrity.toml.",
)
@process_count_option
@environment_option
@click.option(
    "--stations", type=Integer(0, CLIENTS_MOST), hidden=True
)  # an open socket: Locust's users ask for the calls (integrity/locust/)
@application_options
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    profile: str | None,
    seed: int | None,
    process_count: int | None,
    stations: int | None,
    watched: "WatchedApplication",
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
    **asked: Any,
) -> int:
    """Hammer a system with concurrent clients and record every call.

    \b
    Example: integrity run hammer --system ghostpass --bug double_credit
    """
    from integrity.events import listen
    from integrity.jobs.run import at_stations, choose, run
    from integrity.report.progress import write_notes
    from integrity.report.run_text import show_progress, write_headline, write_run

    project = open_project(project_folder)
    chosen = choose(project, profile, processes=process_count, environment=os.environ, **asked)
    target, elsewhere = open_target(project, database), at_stations(chosen, stations)
    job = run(chosen, target, project, seed=seed, test_database=test_database, watched=watched, elsewhere=elsewhere)
    with show_progress() as progress:
        ended = listen(job, write_headline, write_notes, progress)
    write_run(ended.result, is_json=is_json)
    return ended.exit_code
