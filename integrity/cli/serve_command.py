"""`integrity serve`: a system's operations over HTTP, for load of any kind."""

import os
from pathlib import Path

import click

from integrity.cli.number_types import SEED, Integer, NumberType
from integrity.cli.options import (
    database_option,
    environment_option,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)
from integrity.exit_codes import ExitCode
from integrity.numbers import CONNECTIONS_MOST

PORT = 8000
PORT_MOST = 65_535
WAIT_S_MOST = 600


@click.command()
@click.argument("system")
@click.option("--port", type=Integer(0, PORT_MOST), show_default=f"of LOADTEST_BASE_URL, else {PORT}",
              help="0: one that is free.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="To listen on.")
@click.option("--reachable-by-others", "may_be_reached", is_flag=True, help="Allow a --host that is not loopback.")
@click.option("--bug", "bug_name", metavar="NAME", help="Plant this bug; without it the sound system is served.")
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME",
    help="Let outside services behave, and processes die in calls, as it says; default: well, none.",
)
@click.option("--connections", type=Integer(1, CONNECTIONS_MOST), default=20, show_default=True, help="Of the pool.")
@click.option(
    "--wait",
    "wait_s",
    type=NumberType(0, WAIT_S_MOST),
    default=2.0,
    show_default=True,
    help="Seconds that a request waits for one of them; then it is answered 503.",
)
@click.option("--seed", type=SEED, default=1, show_default=True, help="Of what outside services draw.")
@click.option("--dependencies", metavar="URL", help="Ask outside parties there (serve-dependencies), not in this process.")
@click.option("--dependency-timeout", "timeout_s", type=NumberType(0.001, WAIT_S_MOST), default=2.0, show_default=True,
              help="Seconds that one of them is waited for.")  # fmt: skip
@click.option("--venue", metavar="ID", show_default="TEST_VENUE_ID", help="Whose it is, as its health says.")
@environment_option
@json_option
@database_option
@project_option
@test_database_option
def command(
    *,
    system: str,
    port: int | None,
    host: str,
    may_be_reached: bool,
    bug_name: str | None,
    profile_name: str | None,
    connections: int,
    wait_s: float,
    seed: int,
    dependencies: str | None,
    timeout_s: float,
    venue: str | None,
    is_json: bool,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
) -> int:
    """Answer a SYSTEM's operations over HTTP, on its seeded database, until Ctrl-C.

    docs/endpoints.md lists the requests; /health and /metrics are there, too. Everybody logs in with LOADTEST_PASSWORD.

    \b
    Example: integrity serve streamvote --port 8000
    """
    from integrity.events import listen
    from integrity.jobs.plan_names import VENUE, find_port
    from integrity.jobs.serve import choose_served, serve
    from integrity.report.progress import write_notes
    from integrity.report.serve_text import serve_listener, write_served

    project = open_project(project_folder)
    asked = choose_served(
        project,
        system,
        bug_name=bug_name,
        profile_name=profile_name,
        connections=connections,
        wait_s=wait_s,
        host=host,
        port=port if port is not None else find_port(os.environ, otherwise=PORT),
        may_be_reached=may_be_reached,
        seed=seed,
        dependencies=dependencies,
        timeout_s=timeout_s,
        venue=venue if venue is not None else os.environ.get(VENUE, "").strip(),
    )
    job = serve(open_target(project, database), asked, test_database=test_database)
    write_served(listen(job, serve_listener(is_json=is_json), write_notes), is_json=is_json)
    return ExitCode.OK
