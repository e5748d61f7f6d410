"""`integrity list`: which invariants there are."""

from pathlib import Path

import click

from integrity.cli.options import all_option, json_option, open_project, project_option
from integrity.errors import UsageError
from integrity.report.terminal import write_json, write_note, write_result


@click.command(name="list")
@click.option("--system", "system_name", metavar="NAME", help="Those of this system only.")
@click.option("--select", "patterns", metavar="PATTERN", multiple=True, help="Names or patterns, e.g. '*/sale-*'.")
@all_option
@json_option
@project_option
def command(
    *, system_name: str | None, patterns: tuple[str, ...], is_all: bool, is_json: bool, project_folder: Path
) -> int:
    """List the invariants: the project's own; where it has none, those of the systems that ship.

    \b
    Example: integrity list --system ghostpass
    """
    from integrity.invariants.load import load_invariants
    from integrity.registry import Registry
    from integrity.report.audit_json import catalogue_fields
    from integrity.report.audit_text import render_catalogue

    project = open_project(project_folder)
    is_own_enough = not (system_name or patterns or is_all)
    registry = Registry(project)
    for note in registry.describe_doubled():
        write_note(note)
    files = list(load_invariants(project, patterns=patterns, is_own_enough=is_own_enough).values())
    if system_name is not None:
        registry.check(system_name)
        files = [file for file in files if system_name in registry.owners_of(file)]
        if not files:
            said = f"no invariant{' selected' if patterns else ''} is about system {system_name}"
            raise UsageError(said, hint=registry.describe_ownership(system_name))
    if is_json:
        write_json(catalogue_fields(files), default=str)
    else:
        write_result(render_catalogue(files))
        if is_own_enough and any(file.is_own for file in files):
            write_note("Those that ship are left out: --all lists them, too, --system NAME those of one system.")
    return 0
