"""Makes the invariants of a folder that has an effects.toml, each as if a .sql file of its name lay there."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from integrity.errors import SqlFileError
from integrity.invariants.effects.declaration import FAMILIES, Declaration, parse_declaration
from integrity.invariants.effects.rendering import render_invariant
from integrity.invariants.effects.written import Mistake
from integrity.sql.file import SqlFile, parse_sql_file, read_text, shown_path

EFFECTS_FILE = "effects.toml"


def make_invariants(path: Path, *, folder: str) -> dict[str, Callable[[], SqlFile]]:
    """Return, by their names, how to make the invariants of the file; those without an effect are left out.

    Args:
        folder: in which they are, e.g. "ghostpass": the system's name, too, where the file names none.

    Raises:
        SqlFileError: the file cannot be used.
    """
    try:
        declaration = parse_declaration(read_text(path), system=folder.rpartition("/")[2])
    except Mistake as mistake:
        line = f":{mistake.line}" if mistake.line else ""
        raise SqlFileError(f"{shown_path(path)}{line}: {mistake.reason}", hint=mistake.hint or None) from None
    names = {family: f"{folder}/{FAMILIES[family]}".lstrip("/") for family in declaration.uses}
    return {name: partial(_make, path, name, declaration, family) for family, name in names.items()}


def _make(path: Path, name: str, declaration: Declaration, family: str) -> SqlFile:
    rendered = render_invariant(declaration, family)
    return parse_sql_file(rendered.text, path=path, name=name, origins=rendered.origins)
