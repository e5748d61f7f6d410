"""A short command starts at once: what takes long to import is not imported where it is not needed.

The modules are counted and not the seconds, which a busy machine would decide; benchmarks/start_up.py takes those.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from integrity.engines.target import Target

HEAVY = {"sqlalchemy", "numpy", "hypothesis", "asyncpg", "pydantic"}
PARSER = {"sqlglot"}

# What is imported is printed last, after what the command printed.
COMMAND = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(list(sys.modules)), flush=True))
from integrity.__main__ import main
main()
"""


def imported_by(folder: Path, *words: str) -> set[str]:
    environment = {key: value for key, value in os.environ.items() if key != "INTEGRITY_DATABASE_URL"}
    command = [sys.executable, "-c", COMMAND, *words]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.parametrize("words", [("--version",), (), ("list",), ("list", "--system", "ghostpass", "--json")])
def test_what_asks_no_database_imports_no_parser_and_no_models(words: tuple[str, ...], tmp_path: Path) -> None:
    assert imported_by(tmp_path, *words) & (HEAVY | PARSER) == set()


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_an_audit_of_one_invariant_imports_no_models(engine: str, database: Target, tmp_path: Path) -> None:
    (tmp_path / "invariants").mkdir()
    (tmp_path / "invariants/one.sql").write_text("-- title: one is two\nselect 1 as one where 1 = 2\n")
    url = database.text if engine == "postgresql" else f"sqlite:///{tmp_path / 'venue.db'}"
    if engine == "sqlite":
        Target.parse(url).connect_sqlite().close()
    assert imported_by(tmp_path, "validate", "--database", url, "--select", "one") & HEAVY == set()
