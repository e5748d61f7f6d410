"""`integrity explain`: what one invariant says and asks."""

from pathlib import Path

import click

from integrity.cli.options import json_option, open_project, project_option
from integrity.report.terminal import write_json, write_result


@click.command(name="explain")
@click.argument("name")
@json_option
@project_option
def command(*, name: str, is_json: bool, project_folder: Path) -> int:
    """Show one invariant: why it matters, what to look for, and its query.

    \b
    Example: integrity explain ghostpass/balance-equals-entries
    """
    from integrity.invariants.load import find_invariant, load_invariants
    from integrity.invariants.variables import set_variables
    from integrity.registry import Registry
    from integrity.report.audit_json import invariant_fields
    from integrity.report.audit_text import render_invariant

    project = open_project(project_folder)
    files = load_invariants(project, find_operations=Registry(project).operations_of).values()
    file = find_invariant(set_variables(files, project), name)
    if is_json:
        write_json(invariant_fields(file), default=str)
    else:
        write_result(render_invariant(file), is_verbatim=True)
    return 0
