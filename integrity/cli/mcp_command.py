"""`integrity mcp`: the project, for a program that speaks the Model Context Protocol on stdin and stdout."""

from importlib.util import find_spec
from pathlib import Path

import click

import integrity
from integrity.cli.options import database_option, open_project, project_option
from integrity.cli.tools import Tools
from integrity.errors import UsageError

INSTRUCTIONS = """\
integrity finds what must never be in a database, and the interleaving of calls that brought it there. Begin with `about`.
From a suspicion to a proof: list or write the invariant, `validate` it, `race` the operations that could break it, `replay`
the finding. Results are those of the commands' --json. A verdict of unknown is no pass.\
"""


@click.command(name="mcp")
@click.option("--write", "may_write", is_flag=True, help="Offer races, which make a scratch database, and new files, too.")
@database_option
@project_option
def command(*, may_write: bool, database: str | None, project_folder: Path) -> int:
    """Serve the project to an agent: list, explain, validate and ask, read only; with --write race, replay, new.

    It speaks the Model Context Protocol on stdin and stdout, and ends with its input. It needs an extra:
    pip install 'integrity[mcp]', of the same checkout or wheel.

    \b
    Example: integrity mcp --project shop
    """
    folder = open_project(project_folder).folder
    if find_spec("mcp") is None:
        raise UsageError(
            "the package mcp is not installed, which speaks the protocol",
            hint=f"pip install 'integrity[mcp]' from where it came, or what that adds: pip install 'mcp{MCP_VERSIONS}'",
        )
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    tools = Tools(folder, database, refusal=ToolError)
    server = MCPServer("integrity", version=integrity.__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    for tool in [*tools.reading(), *(tools.writing() if may_write else [])]:
        server.add_tool(tool)
    server.run("stdio")
    return 0


MCP_VERSIONS = ">=2,<3"
