"""`integrity faults`: what can go wrong on purpose."""

import click

from integrity.cli.options import json_option
from integrity.report.terminal import write_json, write_result


@click.command(name="faults")
@click.argument("name", required=False)
@json_option
def command(*, name: str | None, is_json: bool) -> int:
    """List the faults that `integrity run --fault` injects; with NAME, all about one.

    \b
    Example: integrity faults lost_commit_ack
    """
    from integrity.faults.catalogue import FAULTS, find_fault
    from integrity.report.fault_text import describe_fault, render_fault_list, render_one_fault

    chosen = [find_fault(name)] if name is not None else list(FAULTS.values())
    if is_json:
        records = [describe_fault(fault) for fault in chosen]
        write_json({"faults": records})
    else:
        write_result(render_one_fault(chosen[0]) if name is not None else render_fault_list(chosen))
    return 0
