"""`integrity skill`: how an agent, or anybody in a hurry, goes from a suspicion to a proving test."""

from pathlib import Path

import click

import integrity
from integrity.report.terminal import write_result


@click.command(name="skill")
def command() -> int:
    """Print SKILL.md: from a suspicion to a proving test with these commands, for agents that read such files.

    \b
    Example: integrity skill > .agents/skills/integrity/SKILL.md
    """
    write_result((Path(integrity.__file__).parent / "SKILL.md").read_text(encoding="utf-8").rstrip(), is_verbatim=True)
    return 0
