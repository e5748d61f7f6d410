"""Loads named queries: the reference systems' and a project's own."""

from dataclasses import replace
from pathlib import Path

from integrity.errors import SqlFileError, UsageError, describe_unexpected
from integrity.numbers import counted
from integrity.project import Project, reference_folder
from integrity.sql.file import SqlFile, broken_file, printable_path, read_sql_file
from integrity.suggestion import suggest
from integrity.typed import typed

SUFFIX = ".sql"


def load_queries(project: Project) -> dict[str, SqlFile]:
    """Return every query by name, sorted: those of the reference systems and those of the project's `queries/`.

    A file that cannot be used is among them, with its fault; so is one whose name another has, under its path.
    """
    queries: dict[str, SqlFile] = {}
    reference, own = reference_folder("queries").resolve(), (project.folder / "queries").resolve()
    for folder in dict.fromkeys((reference, own)):
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() == SUFFIX):
            file = _read(path, folder)
            if namesake := queries.get(file.name):
                shown, taken = printable_path(path), printable_path(namesake.path)
                fault = f"{shown}:1: a second query of the name {file.name!r}\n  hint: Rename it: {taken} has that name."
                file = broken_file(path, name=printable_path(path.relative_to(folder.parent)), fault=fault)
            queries[file.name] = replace(file, is_own=folder != reference)
    return dict(sorted(queries.items()))


def _read(path: Path, folder: Path) -> SqlFile:
    name = printable_path(path.relative_to(folder).with_suffix(""))
    try:
        return read_sql_file(path, name=name)
    except SqlFileError as error:
        return broken_file(path, name=name, fault=str(error))
    except Exception as error:  # what a file does to the parser is no reason to ask none of the others
        return broken_file(path, name=name, fault=f"{printable_path(path)}: {describe_unexpected(error)}")


def find_query(queries: dict[str, SqlFile], name: str) -> SqlFile:
    """Return the query of that name; the last part of it is enough where it names one alone.

    Raises:
        UsageError: there is none, or more than one.
    """
    found = [queries[name]] if name in queries else [q for q in queries.values() if q.name.rpartition("/")[2] == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{name!r} names {counted(len(found), 'query', 'queries')}",
            hint=f"Say which: {', '.join(q.name for q in found)}.",
        )
    hint = suggest(name, queries, otherwise=f"`{typed('queries list')}` shows their names.")
    raise UsageError(f"no query is called {name!r}", hint=hint)
