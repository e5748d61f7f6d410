"""`integrity list`: which invariants there are."""

from pathlib import Path

import click

from integrity.cli.options import json_option, open_project, project_option
from integrity.report.terminal import write_json_text, write_result


@click.command(name="list")
@click.option("--system", "system_name", metavar="NAME", help="Those of this system only.")
@click.option("--select", "patterns", metavar="PATTERN", multiple=True, help="Names or patterns, e.g. '*/sale-*'.")
@json_option
@project_option
def command(*, system_name: str | None, patterns: tuple[str, ...], is_json: bool, project_folder: Path) -> int:
    """List the invariants: the reference systems' and the project's own.

    \b
    Example: integrity list --system ghostpass
    """
    from integrity.invariants.load import load_invariants
    from integrity.registry import Registry
    from integrity.report.json import render_catalogue_json
    from integrity.report.text import render_catalogue

    project = open_project(project_folder)
    files = list(load_invariants(project, patterns=patterns).values())
    if system_name is not None:
        registry = Registry(project)
        registry.check(system_name)
        files = [file for file in files if registry.owner_of(file) == system_name]
    if is_json:
        write_json_text(render_catalogue_json(files))
    else:
        write_result(render_catalogue(files))
    return 0
