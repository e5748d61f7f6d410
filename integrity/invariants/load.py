"""Loads invariants: the reference systems' and a project's own, and picks some by name.

Most are .sql files; those about the effects of calls are made of what a system says in its effects.toml, or of what the
files of its operations say that they store.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from integrity.errors import SqlFileError, UsageError, describe_unexpected
from integrity.invariants.effects.making import EFFECTS_FILE, FindOperations, make_invariants
from integrity.numbers import counted
from integrity.project import SETTINGS_FILE, Project, reference_folder
from integrity.sql.file import SqlFile, broken_file, printable_path, read_sql_file
from integrity.suggestion import suggest
from integrity.typed import typed

SUFFIX = ".sql"


def load_invariants(
    project: Project,
    *,
    system: str = "",
    patterns: Sequence[str] = (),
    find_operations: FindOperations | None = None,
    is_own_enough: bool = False,
    is_own_only: bool = False,
) -> dict[str, SqlFile]:
    """Return every invariant by name, sorted: those of the reference systems and those of the project's `invariants/`.

    A file that cannot be used is among them, with its fault; so is one whose name another has, under its path.

    Args:
        system: of the reference systems, only this one's.
        patterns: as select_invariants takes them; files that none of them is about are not read.
        find_operations: what the names in an effects.toml of the project's own are held against.
        is_own_enough: where the project has some of its own, those are all, and the others are not read.
        is_own_only: those of the reference systems are not read, nor are they there where the project has none.

    Raises:
        UsageError: a pattern that fits none, of these or of [systems] in the project's settings.
    """
    reference, own = reference_folder("invariants").resolve(), (project.folder / "invariants").resolve()
    found: dict[str, Callable[[], SqlFile]] = {}
    paths: dict[str, Path] = {}
    folders_of = [(owner, project.folder / below) for owner, below in project.operation_folders]
    stored = [(place, _stored(owner, place)) for owner, place in folders_of]
    has_own = any(made for _, made in stored) or (own != reference and any(_find_files(own, below="")))
    is_alone = is_own_only or (is_own_enough and has_own)
    folders = [folder for folder in dict.fromkeys((reference, own)) if not is_alone or folder != reference]
    for folder in folders:
        names_known = None if folder == reference else find_operations
        for name, path, read in _find_files(folder, below="" if folder == own else system, find_operations=names_known):
            if name in paths:
                second = printable_path(path.relative_to(folder.parent))
                found[second] = partial(_second, path, second, namesake=name, first=paths[name], is_own=folder != reference)
            else:
                paths[name] = path
                found[name] = partial(_marked, read, is_own=folder != reference)
    for place, made in stored:
        found |= {
            name: partial(_marked, partial(_load, place, name, read), is_own=True)
            for name, read in made.items()
            if name not in found
        }
    if any(section.invariants for section in project.settings.systems.values()):
        beside = _find_files(reference, below="") if (system or is_alone) and reference != own else ()
        _check_settings(project, [*found, *(name for name, _, _ in beside)])
    return {name: found[name]() for name in _select(sorted(found), patterns)}


def _stored(system: str, folder: Path) -> Mapping[str, Callable[[], SqlFile]]:
    from integrity.invariants.effects.stored import make_stored  # it reads operations: who has none imports none of that

    return make_stored(system, folder)


def _check_settings(project: Project, names: Sequence[str]) -> None:
    """Raise for a pattern of [systems] that fits no invariant: what it was meant for would be nobody's."""
    for system, section in project.settings.systems.items():
        for pattern in section.invariants:
            if not any(fits(name, pattern) for name in names):
                place = f"{project.folder / SETTINGS_FILE}: systems.{system}.invariants"
                raise UsageError(f"{place}: no invariant fits {pattern!r}", hint=_suggest(pattern, names))


def _marked(read: Callable[[], SqlFile], *, is_own: bool) -> SqlFile:
    return replace(read(), is_own=is_own)


def _second(path: Path, name: str, *, namesake: str, first: Path, is_own: bool) -> SqlFile:
    fault = (
        f"{printable_path(path)}:1: a second invariant of the name {namesake!r}"
        f"\n  hint: Rename it: {printable_path(first)} has that name."
    )
    return replace(broken_file(path, name=name, fault=fault), is_own=is_own)


def _find_files(
    folder: Path, *, below: str, find_operations: FindOperations | None = None
) -> list[tuple[str, Path, Callable[[], SqlFile]]]:
    """Return what is in a folder, or in one below it: names, in which files, and how to read them, in order.

    A .sql file has its path for its name. Where it has the name of one that an effects.toml makes, it stands in its place.
    """
    files: list[tuple[str, Path, Callable[[], SqlFile]]] = []
    declarations: list[Path] = []

    def unreadable(error: OSError) -> None:
        path = Path(error.filename)
        if path.exists() and path != folder / below:
            name, fault = _name(path, folder), f"{printable_path(path)}: cannot be read: {error.strerror}"
            files.append((name, path, partial(broken_file, path, name=name, fault=fault)))

    for parent, folders, names in os.walk(folder / below, onerror=unreadable):
        for file_name in (*names, *folders):  # a folder that is called as a file is none that can be read, and is told so
            if file_name.lower().endswith(SUFFIX):
                path = Path(parent, file_name)
                name = _name(path.with_name(file_name[: -len(SUFFIX)]), folder)
                files.append((name, path, partial(_load, path, name, partial(read_sql_file, path, name=name))))
            elif file_name == EFFECTS_FILE:
                declarations.append(Path(parent, file_name))
    by_hand = {name for name, _, _ in files}
    for path in declarations:
        made = _make(path, _name(path, folder), find_operations)
        files += [(name, path, read) for name, read in made if name not in by_hand]
    return sorted(files, key=lambda file: file[:2][::-1])


def _name(path: Path, folder: Path) -> str:
    return printable_path(path.relative_to(folder)).replace(os.sep, "/")


def _make(path: Path, name: str, find_operations: FindOperations | None) -> list[tuple[str, Callable[[], SqlFile]]]:
    """Return what an effects.toml makes; where it cannot be used, the one that says so."""
    try:
        made = make_invariants(path, folder=name.rpartition("/")[0], find_operations=find_operations)
    except Exception as error:
        return [(name, partial(_load, path, name, partial(_raise, error)))]
    return [(made_name, partial(_load, path, made_name, read)) for made_name, read in made.items()]


def _raise(error: Exception) -> SqlFile:
    raise error


def _load(path: Path, name: str, read: Callable[[], SqlFile]) -> SqlFile:
    """Return the file; with its fault, where it cannot be used."""
    try:
        return read()
    except SqlFileError as error:
        return broken_file(path, name=name, fault=str(error))
    except Exception as error:  # what a file does to the parser is no reason to judge none of the others
        return broken_file(path, name=name, fault=f"{printable_path(path)}: {describe_unexpected(error)}")


def select_invariants(invariants: Iterable[SqlFile], patterns: Sequence[str]) -> list[SqlFile]:
    """Return those whose name, or last part of it, fits one of the patterns; all without patterns.

    Raises:
        UsageError: a pattern that fits none.
    """
    files = list(invariants)
    chosen = set(_select([file.name for file in files], patterns))
    return [file for file in files if file.name in chosen]


def _select(names: Sequence[str], patterns: Sequence[str]) -> Sequence[str]:
    if not patterns:
        return names
    for pattern in patterns:
        if not any(fits(name, pattern) for name in names):
            raise UsageError(f"no invariant fits {pattern!r}", hint=_suggest(pattern, names))
    return [name for name in names if any(fits(name, pattern) for pattern in patterns)]


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
        raise UsageError(
            f"{name!r} names {counted(len(found), 'invariant')}", hint=f"Say which: {', '.join(f.name for f in found)}."
        )
    raise UsageError(f"no invariant is called {name!r}", hint=_suggest(name, [file.name for file in files]))


def _suggest(name: str, names: Iterable[str]) -> str:
    return suggest(name, names, otherwise=f"`{typed('list')}` shows their names.")


def fits(name: str, pattern: str) -> bool:
    """Return whether a name, or the last part of it, fits a pattern."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition("/")[2], pattern)
