"""What a folder is to us, as text and JSON: the project, its database, what was done last, and what to type next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integrity.numbers import counted
from integrity.report.terminal import write_json, write_result


@dataclass(frozen=True, slots=True)
class About:
    """A folder.

    Args:
        has_settings: there is an integrity.toml.
        database: in words, its passwords hidden.
        invariant_count, query_count: of the project's own.
        operations, systems: the project's own, by name.
        broken: what of those cannot be used, by its name, and why.
        last_run, last_audit: in words; empty: there was none.
        last_search: what came of the last race, in the same way, also where it held.
        last_race: how the last one that was found is played again.
        next: commands.
    """

    folder: Path
    has_settings: bool
    database: str
    invariant_count: int
    query_count: int
    operations: Sequence[str]
    systems: Sequence[str]
    broken: Mapping[str, str]
    last_run: str
    last_audit: str
    last_search: str
    last_race: str
    next: Sequence[str]


def write_about(about: About, *, is_json: bool) -> None:
    """Write to stdout what a folder is."""
    if is_json:
        write_json(_fields(about))
    else:
        write_result(_render(about))


def _render(about: About) -> str:
    settings = "" if about.has_settings else " (there is no integrity.toml: the current folder is the project)"
    lines = [
        ("project", f"{about.folder}{settings}"),
        ("database", about.database),
        ("its own", _describe_own(about)),
        *(("broken", f"{name}: {reason}") for name, reason in about.broken.items()),
        ("last run", about.last_run or "none"),
        ("last audit", about.last_audit or "none that was kept"),
        ("last race", about.last_search or "none that was kept"),
        ("race found", about.last_race or "none"),
    ]
    text = [f"{name:<10}  {value}" for name, value in lines]
    return "\n".join([*text, "Type next:", *(f"  {command}" for command in about.next)])


def _fields(about: About) -> dict[str, Any]:
    return {
        "folder": str(about.folder),
        "has_settings": about.has_settings,
        "database": about.database,
        "invariant_count": about.invariant_count,
        "query_count": about.query_count,
        "operations": list(about.operations),
        "systems": list(about.systems),
        "broken": dict(about.broken),
        "last_run": about.last_run,
        "last_audit": about.last_audit,
        "last_search": about.last_search,
        "last_race": about.last_race,
        "next": list(about.next),
    }


def _describe_own(about: About) -> str:
    parts = [
        counted(about.invariant_count, "invariant") if about.invariant_count else "",
        f"{counted(len(about.operations), 'operation')} ({_some(about.operations)})" if about.operations else "",
        counted(about.query_count, "query", "queries") if about.query_count else "",
        f"{counted(len(about.systems), 'system')} ({_some(about.systems)})" if about.systems else "",
    ]
    return ", ".join(filter(None, parts)) or "nothing yet"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
