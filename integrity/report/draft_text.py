"""New projects and new files as text: what was written, what the database says to it, and what to type next."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from integrity.drafts.template import TableWord, Template
from integrity.drafts.written import NewProject, WrittenFile
from integrity.numbers import counted
from integrity.typed import typed
from integrity.verdict import InvariantVerdict, Verdict


def render_project(made: NewProject, *, start: Path) -> str:
    """Return a new project as text.

    Args:
        start: the current folder: what is typed next begins there.
    """
    lines = [_line(file) for file in made.files]
    if made.table_count is None:
        lines.append("There is no database yet: no invariant was written. With --database URL one is fitted to yours.")
    elif not made.table_count:
        lines.append("The database holds no table: no invariant was written.")
    elif made.own:
        lines.append(f"What it has to race is its own: {', '.join(made.own)}; no operation was written beside it.")
    elif made.refused:
        lines.append(f"The database refuses the rows of an operation that takes from {made.refused}: none was written.")
    elif not made.race:
        taken = "what can be taken, as a balance, a stock or a credit"
        lines.append(f"No column has the name of {taken}: no operation was written.")
    lines.append("Type next:")
    if made.folder.resolve() != start.resolve():
        lines.append(f"  cd {shlex.quote(str(made.folder))}")
    if made.variable:
        lines.append(f"  export {made.variable}=...    the password is not in integrity.toml")
    lines += [f"  {command}" for command in _next(made)]
    return "\n".join(lines)


def _next(made: NewProject) -> list[str]:
    if not made.table_count:
        return [made.load, typed("init")]
    next_ = [typed("new invariant --from")]
    if made.own and not made.race:  # none of its files can be read: `integrity` says why
        next_ = ["integrity"]
    elif made.race:
        next_ = [typed(f"race {made.race}")]
    elif made.table:
        next_ = [typed(f"new operation NAME --table {shlex.quote(made.table)}"), *next_]
    return [typed("validate"), *next_]


def render_written(file: WrittenFile) -> str:
    """Return one new file as text."""
    kind = file.name.partition("/")[0]
    if kind == "scenarios":
        return f"{_line(file)}\nIts comments say what else it can hold; docs/scenarios.md has every key."
    command = {
        "invariants": typed(f"validate --select {shlex.quote(file.stem)}"),
        "operations": typed(f"race {file.race}"),
        "queries": typed(f"queries run {shlex.quote(file.stem)}"),
    }[kind]
    return f"{_line(file)}\nType next:\n  {command}"


def render_templates(templates: Sequence[Template]) -> str:
    """Return which templates there are, and which words each has."""
    lines = []
    for template in templates:
        words = ", ".join(word.name for word in template.words if not isinstance(word, TableWord) or word.refers_to)
        lines.append(f"{template.name}\n  {plain_title(template)}\n  words: {words}")
    lines.append(typed("new invariant --from TEMPLATE --table NAME [--set WORD=NAME]"))
    return "\n".join(lines)


def plain_title(template: Template) -> str:
    """Return its title with the words that it has in it."""
    return template.title.replace(".words}", "}")


def written_fields(files: Sequence[WrittenFile]) -> list[dict[str, Any]]:
    """Return files as they are in JSON."""
    return [
        {
            "name": file.name,
            "says": file.says,
            "is_new": file.is_new,
            "verdict": file.verdict and file.verdict.verdict,
            "violation_count": file.verdict and file.verdict.violation_count,
            "reason": file.verdict and file.verdict.reason,
        }
        for file in files
    ]


def _line(file: WrittenFile) -> str:
    kept = "" if file.is_new else " (was there, and is as it was)"
    verdict = f": {_describe(file.verdict)}" if file.verdict is not None else ""
    return f"{file.name}{kept}  {file.says}{verdict}"


def _describe(verdict: InvariantVerdict) -> str:
    match verdict.verdict:
        case Verdict.HOLDS:
            return "it holds"
        case Verdict.VIOLATED:
            return f"it is violated by {counted(verdict.violation_count, 'row')}"
        case Verdict.EMPTY:
            return "nothing to judge, the tables are empty"
        case Verdict.UNKNOWN:
            return f"unknown: {verdict.reason.splitlines()[0] if verdict.reason else 'no answer'}"
