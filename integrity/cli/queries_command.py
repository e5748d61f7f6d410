"""`integrity queries`: the named queries, their answers, and how fast and by which indexes they are answered."""

from pathlib import Path

import click

from integrity.cli.number_types import Integer, NumberType
from integrity.cli.options import database_option, json_option, open_project, open_target, project_option
from integrity.exit_codes import ExitCode, exit_code_of
from integrity.report.terminal import write_json, write_result

ROWS_SHOWN = 50


@click.group(name="queries")
def command() -> None:
    """Ask the named queries, and hold them against their limits.

    \b
    Example: integrity queries run --system inbox --explain
    """


@command.command(name="list")
@click.option("--system", "system_name", metavar="NAME", help="Those of this system only.")
@project_option
def list_queries(*, system_name: str | None, project_folder: Path) -> int:
    """List the named queries with what each needs and must keep.

    \b
    Example: integrity queries list --system inbox
    """
    from integrity.queries.load import load_queries
    from integrity.registry import Registry
    from integrity.report.queries_text import render_query_list

    project = open_project(project_folder)
    queries = load_queries(project).values()
    if system_name is not None:
        Registry(project).check(system_name)
    write_result(render_query_list([q for q in queries if system_name in (None, q.name.partition("/")[0])]))
    return ExitCode.OK


@command.command(name="ask")
@click.argument("name")
@click.option("--set", "given", metavar="NAME=VALUE", multiple=True, help="A parameter's value.")
@click.option("--limit", type=Integer(1, 1_000_000), default=ROWS_SHOWN, show_default=True, help="Rows to show.")
@database_option
@project_option
@json_option
def ask_one(
    *, name: str, given: tuple[str, ...], limit: int, database: str | None, project_folder: Path, is_json: bool
) -> int:
    """Show the rows of one query.

    \b
    Example: integrity queries ask ghostpass/wallet-statement --set wallet_id=3
    """
    from integrity.jobs.queries import ask, choose_one
    from integrity.report.queries_text import encode_value, render_rows

    project = open_project(project_folder)
    chosen = choose_one(project, name, given)
    rows = ask(chosen, open_target(project, database), project, limit=limit)
    if is_json:
        write_json({"rows": rows}, default=encode_value)
    else:
        write_result(render_rows(rows, limit))
    return ExitCode.OK


@command.command(name="run")
@click.argument("names", nargs=-1)
@click.option("--system", "system_name", metavar="NAME", help="Those of this system only; else of all that are there.")
@click.option("--explain", "is_explained", is_flag=True, help="Show the whole shape of each plan.")
@click.option(
    "--scale",
    type=NumberType(0.0001, 1000),
    help="On a world of its own, F times as large as the default, that is dropped afterwards.",
)
@database_option
@project_option
@json_option
def run(
    *,
    names: tuple[str, ...],
    system_name: str | None,
    is_explained: bool,
    scale: float | None,
    database: str | None,
    project_folder: Path,
    is_json: bool,
) -> int:
    """Ask queries with values of the database, against their limits.

    Shown are the time and the plan of each, and whether it keeps its limits.

    \b
    Example: integrity queries run --system inbox --explain
    """
    from integrity.events import listen
    from integrity.jobs.queries import choose, examine
    from integrity.report.progress import write_notes
    from integrity.report.queries_text import examination_fields, render_examinations

    project = open_project(project_folder)
    chosen = choose(project, names=names, system_name=system_name)
    target = open_target(project, database)
    examined = listen(examine(chosen, target, project, scale=scale), write_notes)
    if is_json:
        write_json(examination_fields(examined))
    else:
        write_result(render_examinations(examined, is_explained=is_explained))
    return exit_code_of({each.shortfall for each in examined if each.shortfall})
