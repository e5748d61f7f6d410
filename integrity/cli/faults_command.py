"""`integrity faults`: what can go wrong on purpose."""

import click

from integrity.cli.options import json_option


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
        import orjson

        records = [describe_fault(fault) for fault in chosen]
        click.echo(orjson.dumps(records[0] if name is not None else records, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(render_one_fault(chosen[0]) if name is not None else render_fault_list(chosen))
    return 0
