"""Makes the invariants of a folder that has an effects.toml, each as if a .sql file of its name lay there."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from integrity.errors import SqlFileError
from integrity.invariants.effects.declaration import Mistake, parse_declaration
from integrity.invariants.effects.rendering import render_invariants
from integrity.sqlfile import SqlFile, parse_sql_file, read_text, shown_path

EFFECTS_FILE = "effects.toml"


def make_invariants(path: Path, *, folder: str) -> list[tuple[str, Callable[[], SqlFile]]]:
    """Return names of the invariants that the file makes, and how to read them; those without an effect are left out.

    Args:
        folder: in which they are, e.g. "ghostpass": the system's name, too, where the file names none.

    Raises:
        SqlFileError: the file cannot be used.
    """
    try:
        declaration = parse_declaration(read_text(path), system=folder.rpartition("/")[2])
        rendered = render_invariants(declaration)
    except Mistake as mistake:
        line = f":{mistake.line}" if mistake.line else ""
        raise SqlFileError(f"{shown_path(path)}{line}: {mistake.reason}", hint=mistake.hint or None) from None
    named = [(f"{folder}/{each.name}".lstrip("/"), each) for each in rendered]
    return [(name, partial(parse_sql_file, each.text, path=path, name=name, origins=each.origins)) for name, each in named]
