"""Loads invariants: the reference systems' and a project's own, and picks some by name."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from integrity.errors import SqlFileError, UsageError
from integrity.project import Project, reference_folder
from integrity.sqlfile import SqlFile, read_sql_file


def load_invariants(project: Project, *, system: str = "") -> dict[str, SqlFile]:
    """Return every invariant by name, sorted: those of the reference systems and those of the project's `invariants/`.

    Args:
        system: of the reference systems, only this one's.

    Raises:
        SqlFileError: a file cannot be used, two have one name, or a parameter has no default: an audit gives none.
    """
    reference, own = reference_folder("invariants").resolve(), (project.folder / "invariants").resolve()
    invariants: dict[str, SqlFile] = {}
    for folder in dict.fromkeys((reference, own)):
        for file in load_folder(folder, below="" if folder == own else system):
            if file.name in invariants:
                raise SqlFileError(
                    f"{file.path}:1: a second invariant of the name {file.name!r}",
                    hint=f"Rename it: {invariants[file.name].path} has that name.",
                )
            required = next((parameter for parameter in file.parameters if parameter.is_required), None)
            if required is not None:
                raise SqlFileError(
                    f"{file.path}:1: parameter {required.name!r} has no default",
                    hint=f"Give it one: `-- parameter: {required.name} {required.type} = null`.",
                )
            invariants[file.name] = file
    return dict(sorted(invariants.items()))


def load_folder(folder: Path, *, below: str = "") -> list[SqlFile]:
    """Return the .sql files of a folder, or of one below it, named by their path; none when there is no such folder."""
    return [
        read_sql_file(path, name=path.relative_to(folder).with_suffix("").as_posix())
        for path in sorted((folder / below).rglob("*.sql"))
    ]


def select_invariants(invariants: Iterable[SqlFile], patterns: Sequence[str]) -> list[SqlFile]:
    """Return those whose name, or last part of it, fits one of the patterns; all without patterns.

    Raises:
        UsageError: a pattern that fits none.
    """
    files = list(invariants)
    if not patterns:
        return files
    for pattern in patterns:
        if not any(_fits(file.name, pattern) for file in files):
            raise UsageError(f"no invariant fits {pattern!r}", hint=suggest(pattern, [file.name for file in files]))
    return [file for file in files if any(_fits(file.name, pattern) for pattern in patterns)]


def system_of(name: str, systems: Collection[str]) -> str:
    """Return the system that an invariant of that name is about; empty: it is a project's own."""
    first = name.partition("/")[0]
    return first if "/" in name and first in systems else ""


def find_invariant(invariants: Iterable[SqlFile], name: str) -> SqlFile:
    """Return the invariant of that name; the last part of it is enough where it names one alone.

    Raises:
        UsageError: there is none, or more than one.
    """
    files = list(invariants)
    exact = [file for file in files if file.name == name]
    found = exact or [file for file in files if file.name.rpartition("/")[2] == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{name!r} names {len(found)} invariants", hint=f"Say which: {', '.join(f.name for f in found)}.")
    raise UsageError(f"no invariant is called {name!r}", hint=suggest(name, [file.name for file in files]))


def suggest(name: str, known: Sequence[str]) -> str:
    """Return a sentence that names what could have been meant, else where to look."""
    by_last_part = {entry.rpartition("/")[2]: entry for entry in known}
    close = get_close_matches(name, known, n=3)
    close += [by_last_part[part] for part in get_close_matches(name.rpartition("/")[2], by_last_part, n=3)]
    meant = " or ".join(list(dict.fromkeys(close))[:3])
    return f"Perhaps you meant {meant}." if meant else "`integrity list` shows their names."


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition("/")[2], pattern)
