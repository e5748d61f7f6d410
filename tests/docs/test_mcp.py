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
from pathlib import Path
from mcp import Client, StdioServerParameters

async def talk(*words):
    server = StdioServerParameters(command=sys.executable, args=["-m", "integrity", "mcp", *words])
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        judged = await client.call_tool("validate", {"select": ["accounts/*"]})
        wrong = await client.call_tool("explain_invariant", {"name": "nothing"})
        given = {
            "about": {}, "list_invariants": {}, "explain_invariant": {"name": "accounts/no-negative-balance"},
            "ask_query": {"name": "poor", "values": {"most": "0"}}, "race": {"operations": ["take", "take"], "seconds": 20},
            "replay": {},
            "new_invariant": {"template": "no-negative-balance", "table": "accounts", "name": "mine/no-debt"},
        }
        answers = {}
        for name in [tool.name for tool in tools if tool.name in given]:
            if name == "replay":
                given[name]["finding"] = str(next(Path(".integrity/races").glob("*.json")))
            answers[name] = await client.call_tool(name, given[name])
        return {
            "tools": [tool.name for tool in tools],
            "described": all(tool.description for tool in tools),
            "answers": {name: [each.is_error, each.content[0].text] for name, each in answers.items()},
            "judged": json.loads(judged.content[0].text),
            "wrong": [wrong.is_error, wrong.content[0].text],
        }

print(json.dumps([asyncio.run(talk()), asyncio.run(talk("--write"))]))
"""
TAKE = """-- title: take from an account, after looking whether there is enough
-- parameter account_id: key of accounts
-- row one: accounts(balance = 2)
select balance from accounts where id = :account_id \\gset
-- decline nothing_left unless balance > 0
update accounts set balance = :balance - 1 where id = :account_id;
"""
POOR = """-- title: accounts with at most so much
-- parameter: most bigint = 0
select id from accounts where balance <= :most
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
    (project / "operations").mkdir(exist_ok=True)
    (project / "operations" / "take.sql").write_text(TAKE, encoding="utf-8")
    (project / "queries").mkdir(exist_ok=True)
    (project / "queries" / "poor.sql").write_text(POOR, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "INTEGRITY_DATABASE_URL"}
    talked = subprocess.run(
        [str(python), "-c", CLIENT], cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert talked.returncode == 0, talked.stderr
    reading, writing = json.loads(talked.stdout)
    assert reading["tools"] == READING
    assert writing["tools"] == [*READING, "race", "replay", "new_invariant"]
    assert reading["described"]
    assert [name for name, (is_error, _) in writing["answers"].items() if is_error] == [], writing["answers"]
    answers = {name: json.loads(text) for name, (_, text) in writing["answers"].items()}
    assert set(answers) | {"validate"} == set(writing["tools"])
    assert "take" in answers["about"]["result"]["operations"]
    assert "id" in json.dumps(answers["ask_query"]["result"])
    assert (answers["race"]["exit_code"], answers["replay"]["exit_code"]) == (1, 1)
    assert answers["new_invariant"]["result"]["is_new"]
    assert reading["judged"]["exit_code"] == 1
    assert reading["judged"]["result"]["invariants"][0]["name"] == "accounts/no-negative-balance"
    assert reading["wrong"][0]
    assert "no invariant" in reading["wrong"][1]
