"""`integrity proxy`: in front of anybody's application; records what passes, and lets faults happen on the wire."""

from pathlib import Path

import click

from integrity.cli.number_types import Duration, Integer
from integrity.cli.options import database_option, json_option, open_project, open_target, project_option
from integrity.exit_codes import ExitCode
from integrity.numbers import SEED_MOST

PORT_MOST = 65_535


@click.command()
@click.option(
    "--listen",
    "port",
    metavar="PORT",
    type=Integer(0, PORT_MOST),
    default=0,
    help="On loopback; default: one that is free.",
)
@click.option("--fault", "faults", metavar="'NAME …'", multiple=True, help="Let it happen on the wire; see above.")
@click.option(
    "--record", "file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write down what passes."
)
@click.option("--tls", "has_tls", is_flag=True, help="Offer encryption, with a certificate of our own making.")
@click.option("--duration", "duration_s", type=Duration(), help="How long, e.g. 90s or 20m; default: until Ctrl-C.")
@click.option("--seed", type=Integer(0, SEED_MOST), default=1, show_default=True, help="Of what faults draw.")
@database_option
@project_option
@json_option
def command(
    *,
    port: int,
    faults: tuple[str, ...],
    file: Path | None,
    has_tls: bool,
    duration_s: float | None,
    seed: int,
    database: str | None,
    project_folder: Path,
    is_json: bool,
) -> int:
    """Stand between an application and its database: record what passes, and break it on purpose.

    It first says the DATABASE_URL to start the application with. A fault is db_latency, connection_reset, half_open,
    lost_commit_ack or lost_commit, as `integrity faults` describes them, and behind a colon which statements it strikes:
    nth=2, first=3, every=10 or share=0.1 of those that it could; table=payments or statement='insert*payments' (a pattern
    of the text) says which those are: for the two of commits, transactions that hold such a statement. Without any it
    strikes each time. Further: ms, jitter_ms, direction (db_latency), for_s, then (half_open).

    \b
    Example: integrity proxy --fault 'lost_commit_ack:nth=2,table=payments'
    """
    from integrity.events import listen
    from integrity.jobs.proxy import choose, serve
    from integrity.report.proxy_text import proxy_listener, write_served

    asked = choose(faults, port=port, file=file, seed=seed, has_tls=has_tls, duration_s=duration_s)
    target = open_target(open_project(project_folder), database)
    write_served(listen(serve(target, asked), proxy_listener()), is_json=is_json)
    return ExitCode.OK
