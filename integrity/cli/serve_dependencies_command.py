"""`integrity serve-dependencies`: the outside parties of systems, as a server of their own."""

from pathlib import Path

import click

from integrity.cli.number_types import SEED, Integer, NumberType
from integrity.cli.options import json_option, open_project, project_option
from integrity.cli.serve_command import PORT_MOST
from integrity.exit_codes import ExitCode

LATENCY_MS_MOST = 600_000


@click.command(name="serve-dependencies")
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM...")
@click.option("--port", type=Integer(0, PORT_MOST), default=8100, show_default=True, help="0: one that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="To listen on.")
@click.option("--reachable-by-others", "may_be_reached", is_flag=True, help="Allow a --host that is not loopback.")
@click.option("--profile", "profile_name", metavar="NAME", help="Let them behave as it says; default: well.")
@click.option(
    "--fault",
    "faults",
    metavar="NAME[:KEY=VALUE,...][@FROM-TO]",
    multiple=True,
    help="Let this go wrong, from second FROM to TO of the server, or always: the service_... and webhook_... faults.",
)
@click.option(
    "--latency-ms",
    type=NumberType(0, LATENCY_MS_MOST),
    default=0.0,
    show_default=True,
    help="More for each answer.",
)
@click.option("--seed", type=SEED, default=1, show_default=True, help="Of what they draw.")
@json_option
@project_option
def command(
    *,
    systems: tuple[str, ...],
    port: int,
    host: str,
    may_be_reached: bool,
    profile_name: str | None,
    faults: tuple[str, ...],
    latency_ms: float,
    seed: int,
    is_json: bool,
    project_folder: Path,
) -> int:
    """Be the outside parties of SYSTEMs over HTTP, until Ctrl-C: mint, relay, card processor, providers, stores.

    `integrity serve SYSTEM --dependencies URL` asks them there, and they send it their webhooks, signed. /metrics has times
    and codes by what is asked, deliveries and drops.

    \b
    Example: integrity serve-dependencies safebox --fault webhook_drop
    """
    from integrity.events import listen
    from integrity.jobs.serve_dependencies import choose_dependencies, serve_dependencies
    from integrity.report.serve_text import dependencies_listener, write_served_dependencies

    asked = choose_dependencies(
        open_project(project_folder),
        systems,
        profile_name=profile_name,
        faults=faults,
        latency_ms=latency_ms,
        host=host,
        port=port,
        may_be_reached=may_be_reached,
        seed=seed,
    )
    write_served_dependencies(listen(serve_dependencies(asked), dependencies_listener(is_json=is_json)), is_json=is_json)
    return ExitCode.OK
