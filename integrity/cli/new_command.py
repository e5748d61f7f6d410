"""`integrity new`: an invariant, an operation, a query or a scenario to go on with."""

from collections.abc import Sequence
from pathlib import Path

import click

from integrity.cli.options import database_option, json_option, open_project, open_target, project_option
from integrity.drafts.written import WrittenFile
from integrity.errors import UsageError, quote
from integrity.report.terminal import write_json, write_result
from integrity.typed import typed


@click.group(name="new")
def command() -> None:
    """Write an invariant, an operation or a query that fits a table, or a scenario, to go on with.

    \b
    Example: integrity new invariant --from no-negative-balance --table accounts
    """


@command.command(name="invariant")
@click.argument("name", required=False)
@click.option("--table", metavar="NAME", help="The table that it is about.")
@click.option("--from", "template_name", metavar="[TEMPLATE]", is_flag=False, flag_value="",
              help="What it asks; without a value: which there are.")  # fmt: skip
@click.option("--set", "pairs", metavar="WORD=NAME", multiple=True,
              help="What a word of the template stands for, where that cannot be told or is told wrong.")  # fmt: skip
@database_option
@project_option
@json_option
def new_invariant(
    *,
    name: str | None,
    table: str | None,
    template_name: str | None,
    pairs: tuple[str, ...],
    database: str | None,
    project_folder: Path,
    is_json: bool,
) -> int:
    """Write an invariant about a table: of a template, asked at once, or the bare form.

    Tables and columns are found by their kinds, foreign keys and names. Where more than one fits, it is asked for.

    \b
    Example: integrity new invariant --from balance-equals-entries \\
        --table accounts
    """
    from integrity.drafts.templates.catalogue import TEMPLATES, find_template
    from integrity.jobs.new import write_invariant
    from integrity.report.draft_text import render_templates

    if template_name == "":
        write_result(render_templates(list(TEMPLATES.values())))
        return 0
    template = find_template(template_name) if template_name is not None else None
    if template is None and (name is None or pairs):
        raise UsageError(
            "--set is of templates" if pairs else "it has no name",
            hint=f"{typed('new invariant NAME --table TABLE')}, or --from TEMPLATE; --from alone lists the templates.",
        )
    project = open_project(project_folder)
    given = _read_pairs(pairs)
    target = open_target(project, database)
    written = write_invariant(project, target, name=name, template=template, table_name=table, given=given)
    _tell(written, is_json=is_json)
    return 0


@command.command(name="operation")
@click.argument("name")
@click.option("--table", metavar="NAME", help="The table that it takes from; default: what looks like accounts.")
@click.option("--column", metavar="NAME", help="The column that it takes from; default: what looks like a balance.")
@database_option
@project_option
@json_option
def new_operation(
    *, name: str, table: str | None, column: str | None, database: str | None, project_folder: Path, is_json: bool
) -> int:
    """Write an operation that takes something from a row: read, decide, write. It can be raced at once, and is wrong.

    \b
    Example: integrity new operation withdraw --table accounts
    """
    from integrity.jobs.new import write_operation

    project = open_project(project_folder)
    written = write_operation(project, open_target(project, database), name=name, table_name=table, column=column)
    _tell(written, is_json=is_json)
    return 0


@command.command(name="query")
@click.argument("name")
@click.option("--table", metavar="NAME", help="The table that it asks.")
@database_option
@project_option
@json_option
def new_query(*, name: str, table: str | None, database: str | None, project_folder: Path, is_json: bool) -> int:
    """Write a named query: a row by its key, with a limit, and where values to try it with come from.

    \b
    Example: integrity new query account-by-id --table accounts
    """
    from integrity.jobs.new import write_query

    project = open_project(project_folder)
    written = write_query(project, open_target(project, database), name=name, table_name=table)
    _tell(written, is_json=is_json)
    return 0


@command.command(name="scenario")
@click.argument("name")
@click.option("--curl", "curls", metavar="LINE", multiple=True,
              help='A request, as a browser copies it: "Copy as cURL (bash)". One alone races itself.')  # fmt: skip
@click.option("--command", "app_command", metavar="COMMAND", default="",
              help="What starts the application, with the port $PORT; default: it is running already.")  # fmt: skip
@project_option
@json_option
def new_scenario(*, name: str, curls: tuple[str, ...], app_command: str, project_folder: Path, is_json: bool) -> int:
    """Write a race of requests: scenarios/NAME.toml, with what else it can say as comments.

    \b
    Example: integrity new scenario pay --curl "curl 127.0.0.1:8000/pay -d a=5"
    """
    from integrity.jobs.new import write_scenario

    written = write_scenario(open_project(project_folder), name=name, curls=curls, command=app_command)
    _tell(written, is_json=is_json)
    return 0


def _tell(written: WrittenFile, *, is_json: bool) -> None:
    from integrity.report.draft_text import render_written, written_fields

    if is_json:
        write_json(written_fields([written])[0])
    else:
        write_result(render_written(written))


def _read_pairs(pairs: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in pairs:
        word, sign, name = pair.partition("=")
        if not sign or not word or not name:
            raise UsageError(f"--set {quote(pair)}: not WORD=NAME", hint="Write --set balance=amount_minor.")
        given[word] = name
    return given
