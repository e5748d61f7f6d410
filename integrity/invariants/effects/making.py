"""Makes the invariants of a folder that has an effects.toml, each as if a .sql file of its name lay there."""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from integrity.errors import SqlFileError, UsageError, quote
from integrity.invariants.effects.declaration import FAMILIES, Declaration, parse_declaration
from integrity.invariants.effects.rendering import render_invariant
from integrity.invariants.effects.written import Mistake
from integrity.sql.file import SqlFile, parse_sql_file, read_text, shown_path
from integrity.suggestion import suggest

EFFECTS_FILE = "effects.toml"

FindOperations = Callable[[str], Collection[str]]
"""Given a system's name, its operations' names; raises a UsageError where there is none, or it cannot be imported."""


def make_invariants(
    path: Path, *, folder: str, find_operations: FindOperations | None = None
) -> dict[str, Callable[[], SqlFile]]:
    """Return, by their names, how to make the invariants of the file; those without an effect are left out.

    Args:
        folder: in which they are, e.g. "ghostpass": the system's name, too, where the file names none.
        find_operations: what the names in the file are held against: a query about the calls of an operation that there is
            not finds nothing wrong, whatever the data. None: against nothing.

    Raises:
        SqlFileError: the file cannot be used.
    """
    try:
        declaration = parse_declaration(read_text(path), system=folder.rpartition("/")[2])
    except Mistake as mistake:
        raise _placed(path, mistake) from None
    names = {family: f"{folder}/{FAMILIES[family]}".lstrip("/") for family in declaration.uses}
    return {name: partial(_make, path, name, declaration, family, find_operations) for family, name in names.items()}


def _make(path: Path, name: str, declaration: Declaration, family: str, find_operations: FindOperations | None) -> SqlFile:
    if find_operations is not None:
        try:
            _check_names(declaration, family, find_operations)
        except Mistake as mistake:
            raise _placed(path, mistake) from None
    rendered = render_invariant(declaration, family)
    return parse_sql_file(rendered.text, path=path, name=name, origins=rendered.origins)


def _check_names(declaration: Declaration, family: str, find_operations: FindOperations) -> None:
    """Raise for a system or an operation that there is not, as far as the invariant is about it.

    Raises:
        Mistake: a name that nobody has.
    """
    named = [(use, operation) for use in declaration.uses[family] for operation in use.by]
    if not named and not declaration.system_line:
        return
    try:
        known = find_operations(declaration.system)
    except UsageError as error:
        raise Mistake(f"system: {error.message}", line=declaration.system_line, hint=error.hint or "") from None
    for use, operation in named:
        if operation not in known:
            reason = f"{family} of the effect in {quote(use.table.column)}: "
            reason += f"system {declaration.system} has no operation {quote(operation)}"
            hint = suggest(operation, known, always=f"Its operations are: {', '.join(known)}.")
            raise Mistake(reason, line=use.by_line, hint=hint)


def _placed(path: Path, mistake: Mistake) -> SqlFileError:
    line = f":{mistake.line}" if mistake.line else ""
    return SqlFileError(f"{shown_path(path)}{line}: {mistake.reason}", hint=mistake.hint or None)
