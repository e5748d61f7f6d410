"""What passes a proxy, written down: a line of JSON for each connection and for each cycle (cycles.py).

What a session begins with is left out, passwords with it; and a password that stands in a statement is masked.
"""

import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from integrity.proxy.postgresql.bodies import Notice, show_value
from integrity.proxy.postgresql.cycles import Conversation, Cycle, Kind, Result, Statement

FORMAT = 1
STATUSES = {"I": "idle", "T": "open", "E": "failed", "": ""}
_PASSWORD = re.compile(r"(\bpassword\s+)(?:[eE]|[uU]&)?'(?:[^']|'')*'?", re.IGNORECASE)
_PARAMETERS_KEPT = ("user", "database", "application_name")

Write = Callable[[Mapping[str, Any]], None]


class Recorder:
    """Writes down one connection.

    Args:
        number: the connection's.
        write: takes each record.
        now_us: microseconds since the epoch.
    """

    def __init__(self, number: int, write: Write, *, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._number, self._write, self._now_us = number, write, now_us
        self._asked_us: dict[Cycle, int] = {}
        self._has_begun = False

    def begun(self, parameters: Mapping[str, str], backend_pid: int) -> None:
        """The connection is there."""
        if not self._has_begun:
            self._has_begun = True
            named = {name: parameters.get(name, "") for name in _PARAMETERS_KEPT}
            self._put("connected", self._now_us(), {"backend_pid": backend_pid, **named})

    def asked(self, cycle: Cycle) -> None:
        """The client has asked something."""
        if cycle.kind not in (Kind.COPY, Kind.END):
            self._asked_us.setdefault(cycle, self._now_us())

    def answered(self, cycle: Cycle) -> None:
        """The server has answered it."""
        asked_us = self._asked_us.pop(cycle, None)
        if asked_us is not None and (cycle.statements or cycle.answer.error or cycle.kind is Kind.CALL):
            self._put("cycle", asked_us, self._describe(cycle, asked_us, is_answered=True))

    def ended(self, conversation: Conversation) -> None:
        """The connection is over."""
        for cycle, asked_us in list(self._asked_us.items()):
            if cycle.statements:
                self._put("cycle", asked_us, self._describe(cycle, asked_us, is_answered=False))
        self._asked_us.clear()
        if self._has_begun:
            self._put("ended", self._now_us(), {"error": _error(conversation.farewell)})

    def _describe(self, cycle: Cycle, asked_us: int, *, is_answered: bool) -> dict[str, Any]:
        return {
            "kind": cycle.kind.value,
            "statements": _describe_statements(cycle),
            "error": _error(cycle.answer.error),
            "notices": [notice.message for notice in cycle.answer.notices],
            "transaction": STATUSES.get(cycle.answer.status, ""),
            "is_skipped": cycle.answer.is_skipped,
            "is_answered": is_answered,
            "duration_us": self._now_us() - asked_us,
        }

    def _put(self, event: str, at_us: int, facts: Mapping[str, Any]) -> None:
        self._write({"format": FORMAT, "at_us": at_us, "connection": self._number, "event": event, **facts})


def _describe_statements(cycle: Cycle) -> list[dict[str, Any]]:
    results = iter(cycle.answer.results)
    return [
        _describe_statement(statement, next(results, None) if statement.is_executed else None)
        for statement in cycle.statements
    ]


def _describe_statement(statement: Statement, result: Result | None) -> dict[str, Any]:
    return {
        "sql": without_password(statement.text),
        "parameters": [
            show_value(each.value, is_binary=each.is_binary, type_oid=each.type_oid) for each in statement.parameters
        ],
        "is_executed": statement.is_executed,
        "tag": result.tag if result else "",
        "row_count": result.row_count if result else 0,
    }


def _error(notice: Notice | None) -> dict[str, str] | None:
    return None if notice is None else {"sqlstate": notice.sqlstate, "message": notice.message}


@lru_cache(maxsize=1024)
def without_password(sql: str) -> str:
    """Return a statement with the literal behind the word `password` masked."""
    return _PASSWORD.sub(r"\1'***'", sql)
