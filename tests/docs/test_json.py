"""docs/json.md is what `--json` prints: every command that has it is there, and the keys are those of real results."""

import io
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click
import pytest

from integrity.cli.main import COMMANDS, group, invoke
from integrity.errors import AuditError
from integrity.report.terminal import JSON_FORMAT

ROOT = Path(__file__).parents[2]
SECTIONS: dict[str, str] = dict(
    re.findall(r"## `integrity ?([\w -]*)`\n(.*?)(?=\n## |\Z)", (ROOT / "docs/json.md").read_text(), re.DOTALL)
)
SETTINGS = """
[suites.tiny]
title = "one"
steps = [{ profile = "smoke", duration_s = 0.3 }]

[profiles.bank.upward]  # a name behind smoke: of two runs of one second the later name is taken for the newer
extends = "hammer"
calls_most = 40
duration_s = 60
"""

# In this order: each stands on what those before it have made.
LINES = (
    "init",
    "seed --size accounts=8",
    "list",
    "explain bank/balance-equals-movements",
    "new invariant --from within-limit --table accounts --set value=balance_minor --set limit=id",
    "new operation take --table accounts",
    "new query one --table accounts",
    "new scenario pay",
    "health --system bank",
    "queries run --system bank",
    "queries ask bank/account-statement --set account_id=1",
    "faults lost_commit_ack",
    "suite tiny --system bank --seed 1",
    "run upward --bug forgotten_movement --seed 1",
    "validate",
    "reproduce bank/balance-equals-movements",
    "race bank withdraw --bug lost_update --preemptions 1 --output race.json",
    "replay race.json",
    "race bank withdraw --schedule AB",
    "race bank withdraw --mutate",
    f"monitor --process tests={os.getpid()} --duration 0.2s --every 0.1s",
    "snapshot one",
    "snapshot --list",
    "restore one --yes",
    "snapshot --drop one",
    "serve bank --port 0",
    "serve-dependencies safebox --port 0",
    "stop --all",
    "rollback --dry-run",
    "rollback --yes",
    "",
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[str, list[Mapping[str, Any]]]]]:
    """What every command printed, as objects, in a project of somebody's own on SQLite."""
    folder = tmp_path_factory.mktemp("json")
    shutil.copytree(ROOT / "tests/own_system", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "integrity.toml").open("a") as settings:
        settings.write(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("INTEGRITY_DATABASE_URL", f"sqlite:///{folder / 'bank.db'}")
        patch.setattr(sys, "path", [*sys.path])
        printed = [(line, _objects(line)) for line in LINES]
        patch.delenv("INTEGRITY_DATABASE_URL")
        printed.append(("db status", _objects("db status")))
        try:
            printed.append(("proxy --duration 0.1s", _objects("proxy --duration 0.1s --fault db_latency")))
        finally:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                invoke(["db", "stop"])
        yield printed
    sys.modules.pop("bank", None)


class Ending(io.StringIO):
    """Ends a server as soon as it says that it answers."""

    def write(self, text: str) -> int:
        if '"opened"' in text:
            signal.raise_signal(signal.SIGTERM)
        return super().write(text)


def _objects(line: str) -> list[Mapping[str, Any]]:
    out = Ending() if line.startswith("serve") else io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            invoke([*line.split(), "--json"])
    except AuditError as error:
        raise AssertionError(f"integrity {line}: {error}") from None
    text = out.getvalue()
    return [json.loads(each) for each in text.splitlines()] if line.startswith(("monitor", "serve")) else [json.loads(text)]


def _section(line: str) -> str:
    return max((name for name in SECTIONS if not name or f"{line} ".startswith(f"{name} ")), key=len)


def _documented(section: str) -> dict[str, bool]:
    """Return the keys of a section -> whether they are always there."""
    items = re.findall(r"^- (.*?):(?: |$)", re.sub(r"\n  ", " ", SECTIONS[section]), re.MULTILINE)
    return {name: not optional for item in items for name, optional in re.findall(r"`([\w.\[\]]+)`(\?)?", item)}


def _keys(document: Mapping[str, Any], known: Mapping[str, bool]) -> set[str]:
    """Return the keys of a result, as the document spells them: of records where it names their keys."""
    found = set()
    for key, value in document.items():
        if any(name.startswith(f"{key}[].") for name in known):
            found |= {f"{key}[].{inner}" for record in value for inner in record}
        else:
            found.add(key)
    return found


def test_every_result_begins_with_its_format(results: list[tuple[str, list[Mapping[str, Any]]]]) -> None:
    for line, documents in results:
        for document in documents:
            assert next(iter(document)) == "format", line
            assert document["format"] == JSON_FORMAT, line


def test_every_key_of_a_result_is_documented(results: list[tuple[str, list[Mapping[str, Any]]]]) -> None:
    for line, documents in results:
        known = _documented(_section(line))
        for document in documents:
            assert _keys(document, known) - {"format"} - set(known) == set(), line


def test_every_key_that_is_documented_is_in_a_result(results: list[tuple[str, list[Mapping[str, Any]]]]) -> None:
    for section in SECTIONS:
        known = _documented(section)
        seen: set[str] = set()
        for line, documents in results:
            if _section(line) == section:
                seen |= {key for document in documents for key in _keys(document, known)}
        always = {key for key, is_always in known.items() if is_always}
        assert always - seen == set(), section


def _commands_with_json() -> Iterator[str]:
    for name in COMMANDS:
        command = group.get_command(None, name)  # type: ignore[arg-type]  # the lazy group needs no context
        assert command is not None
        for path, each in _leaves(name, command):
            if any("--json" in parameter.opts for parameter in each.params):
                yield path


def _leaves(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _leaves(f"{path} {name}", inner)
    else:
        yield path, command


def test_every_command_with_json_has_its_section() -> None:
    assert sorted(["", *_commands_with_json()]) == sorted(SECTIONS)
