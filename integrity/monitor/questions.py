"""Which of `queries/monitor/` a server can be asked, and how often.

PostgreSQL moved its counters about: each file says from and up to which version it can be asked, so that no column is ever
guessed. What a server lacks is left out, with a note that says why.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from integrity.queries.run import load_query
from integrity.sql.file import SqlFile

VERSION_MOST = 999


@dataclass(frozen=True, slots=True)
class MonitorQuestion:
    """A query of the monitor.

    Args:
        name: of its answer in a sample.
        file: below queries/monitor/.
        least, most: the versions of PostgreSQL that have what it reads.
        is_row: the answer is one row, not a list of them.
        is_rare: asked now and then and at both ends, not in every sample: it costs more, or changes slowly.
    """

    name: str
    file: str
    least: int = 0
    most: int = VERSION_MOST
    is_row: bool = False
    is_rare: bool = False

    @property
    def sql(self) -> SqlFile:
        return load_query(f"monitor/{self.file}")

    @property
    def text(self) -> bytes:
        """What the server is sent."""
        return _text_of(self.file)


FACTS = MonitorQuestion("facts", "facts", is_row=True)
STATEMENTS = MonitorQuestion("statements", "statements", is_rare=True)
BLOCKING = (MonitorQuestion("blocking", "blocking", least=14), MonitorQuestion("blocking", "blocking-before-14", most=13))
"""Asked only while somebody waits for a lock: answering stops the server's lock manager for a moment."""

QUESTIONS = (
    MonitorQuestion("activity", "activity", is_row=True),
    MonitorQuestion("database", "database", is_row=True),
    *BLOCKING,
    MonitorQuestion("tables", "tables", is_rare=True),
    STATEMENTS,
    MonitorQuestion("io", "io", least=16, is_rare=True),
    MonitorQuestion("checkpoints", "checkpoints", least=17, is_row=True, is_rare=True),
    MonitorQuestion("checkpoints", "checkpoints-before-17", most=16, is_row=True, is_rare=True),
    MonitorQuestion("size", "size", is_row=True, is_rare=True),
)


@cache
def _text_of(file: str) -> bytes:
    """Reading and checking the file takes longer than all answers together: once will do."""
    return load_query(f"monitor/{file}").numbered.encode()


def prepare() -> None:
    """Read all files now."""
    for question in (FACTS, *QUESTIONS):
        _text_of(question.file)


def choose(facts: Mapping[str, Any]) -> tuple[list[MonitorQuestion], list[str]]:
    """Return what a server of these facts can be asked, and a note for each thing that it cannot be."""
    version = facts["version_major"]
    chosen = [question for question in QUESTIONS if question.least <= version <= question.most]
    notes = []
    if facts["statements_schema"] is None:
        chosen.remove(STATEMENTS)
        notes.append("slowest statements: the extension pg_stat_statements is not installed in this database")
    if version < 16:
        notes.append(f"reads and writes by kind of process: PostgreSQL {version} does not count them, 16 does")
    if not facts["can_see_all"]:
        notes.append("what sessions of other roles do: grant pg_read_all_stats to this role to see it")
    return chosen, notes


def print_sql() -> str:
    """Return all of the queries as one text for psql, each behind its header."""
    questions = (FACTS, *QUESTIONS)
    return "\n".join(f"{_versions(question)}{question.sql.text.rstrip()}\n;\n" for question in questions)


def _versions(question: MonitorQuestion) -> str:
    if question.most < VERSION_MOST:
        return f"-- PostgreSQL {question.most} and older\n"
    return f"-- PostgreSQL {question.least} and newer\n" if question.least else ""


def is_own(statement: str) -> bool:
    """Return whether a statement, as a server keeps it, cut after TEXT_MOST letters, is a question of a monitor."""
    flat = _flat(statement)
    is_cut = len(statement) >= TEXT_MOST
    return any(flat.startswith(own) or (is_cut and own.startswith(flat)) for own in _own_beginnings())


def _flat(text: str) -> str:
    return " ".join(_HEADER.sub("", text).split())


@cache
def _own_beginnings() -> tuple[str, ...]:
    """Return how the questions begin, up to the first constant: the server keeps none, and not the comments before."""
    return tuple(_CONSTANT.split(_flat(question.text.decode()), maxsplit=1)[0] for question in (FACTS, *QUESTIONS))


TEXT_MOST = 300
"""Of a statement: queries/monitor/statements.sql cuts it there."""

_HEADER = re.compile(r"^--.*\n", re.MULTILINE)
_CONSTANT = re.compile(r"'|\b\d")
