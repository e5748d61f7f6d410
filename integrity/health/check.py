"""A check of a target's health: what was looked at, what was found in figures, and the next step where it is not right."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from integrity.errors import DatabaseError


class Health(StrEnum):
    """Failed: a run would not work, or its verdict be worth nothing. Warning: it would, and somebody should know."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One thing that was looked at.

    Args:
        name: e.g. "free disk".
        found: with the figure, in words.
        hint: the next step; empty when all is right.
    """

    name: str
    state: Health
    found: str
    hint: str = ""


def ok(name: str, found: str) -> HealthCheck:
    return HealthCheck(name, Health.OK, found)


def warning(name: str, found: str, hint: str) -> HealthCheck:
    return HealthCheck(name, Health.WARNING, found, hint)


def failed(name: str, found: str, hint: str) -> HealthCheck:
    return HealthCheck(name, Health.FAILED, found, hint)


def unreachable(error: DatabaseError) -> HealthCheck:
    return failed("reachable", error.message, error.hint or "Check that the server runs, and the URL.")


def worst(checks: Sequence[HealthCheck]) -> Health:
    """Return the worst state; nothing that was looked at is failed, too."""
    states = {check.state for check in checks}
    return next((state for state in (Health.FAILED, Health.WARNING, Health.OK) if state in states), Health.FAILED)


def some(names: Sequence[str], *, most: int = 5) -> str:
    """Return the first names, and how many there are beside them."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
