"""`integrity mcp` as an agent meets it: the protocol's own client, over a process's streams, with the extra installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import integrity
from integrity.cli.mcp_command import MCP_VERSIONS

# What a client does: it starts the server, asks for its tools, and calls some of them.
CLIENT = """
import asyncio, json, sys
from mcp import Client, StdioServerParameters

async def talk(*words):
    server = StdioServerParameters(command=sys.executable, args=["-m", "integrity", "mcp", *words])
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        judged = await client.call_tool("validate", {"select": ["accounts/*"]})
        wrong = await client.call_tool("explain_invariant", {"name": "nothing"})
        return {
            "tools": [tool.name for tool in tools],
            "described": all(tool.description for tool in tools),
            "judged": json.loads(judged.content[0].text),
            "wrong": [wrong.is_error, wrong.content[0].text],
        }

print(json.dumps([asyncio.run(talk()), asyncio.run(talk("--write"))]))
"""
READING = ["about", "list_invariants", "explain_invariant", "validate", "ask_query"]


@pytest.mark.exhaustive
def test_an_agent_lists_tools_and_judges_invariants(tmp_path: Path) -> None:
    import sqlite3

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    ours = Path(integrity.__file__).parents[1], Path(click.__file__).parents[1]  # and what it needs
    (packages / "ours.pth").write_text("".join(f"{folder}\n" for folder in ours), encoding="utf-8")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, f"mcp{MCP_VERSIONS}"], check=True, capture_output=True)
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table accounts (id integer primary key, balance integer)")
        connection.execute("insert into accounts values (1, -5)")
    connection.close()
    project = tmp_path / "project"
    command = [str(python), "-m", "integrity", "init", str(project), "--database", f"sqlite:///{tmp_path / 'shop.db'}"]
    subprocess.run(command, check=True, capture_output=True)
    environment = {name: value for name, value in os.environ.items() if name != "INTEGRITY_DATABASE_URL"}
    talked = subprocess.run(
        [str(python), "-c", CLIENT], cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert talked.returncode == 0, talked.stderr
    reading, writing = json.loads(talked.stdout)
    assert reading["tools"] == READING
    assert writing["tools"] == [*READING, "race", "replay", "new_invariant"]
    assert reading["described"]
    assert reading["judged"]["exit_code"] == 1
    assert reading["judged"]["result"]["invariants"][0]["name"] == "accounts/no-negative-balance"
    assert reading["wrong"][0]
    assert "no invariant" in reading["wrong"][1]
