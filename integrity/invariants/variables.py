"""Variables: values that a user gives to parameters of invariants, in place of the defaults that their files declare.

They are text, from `--set name=value` or [variables] of integrity.toml, and each file reads them by the type that it
declares for that name. A name that no file has is a mistake, and so is a value that is not of the type.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from integrity.errors import UsageError, quote
from integrity.project import SETTINGS_FILE, Project
from integrity.sql.file import SqlFile
from integrity.suggestion import suggest


def read_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """Return name -> text of `name=value` words; the last one of a name counts.

    Raises:
        UsageError: one without a `=`.
    """
    given = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator:
            raise UsageError(f"--set {quote(pair)}: not NAME=VALUE", hint="For example --set stuck_before='now - 1 hour'.")
        given[name.strip()] = text
    return given


def set_variables(files: Iterable[SqlFile], project: Project) -> list[SqlFile]:
    """Return the files with what [variables] of the project's settings gives to their parameters.

    Raises:
        UsageError: a name that none of the files has, or a value that is not of its type.
    """
    return apply_variables(files, _read_settings(project.settings.variables), place=f"{SETTINGS_FILE}: [variables]")


def apply_variables(files: Iterable[SqlFile], given: Mapping[str, str], *, place: str) -> list[SqlFile]:
    """Return the files with these values as the defaults of their parameters.

    Args:
        place: where they were given, for errors.

    Raises:
        UsageError: a name that none of the files has, or a value that is not of its type.
    """
    files = list(files)
    known = sorted({parameter.name for file in files for parameter in file.parameters})
    for name in given:
        if name not in known:
            exist = f"The parameters of these invariants are: {', '.join(known) or 'none'}."
            hint = suggest(name, known, always=exist)
            raise UsageError(f"{place}: no invariant has a parameter {quote(name)}", hint=hint)
    return [file.with_values(given, place=place) for file in files]


def _read_settings(variables: Mapping[str, Any]) -> dict[str, str]:
    """Return name -> text of the values in [variables] of integrity.toml.

    Raises:
        UsageError: one is a list or a table.
    """
    given = {}
    for name, value in variables.items():
        if isinstance(value, bool):
            given[name] = "true" if value else "false"
        elif isinstance(value, datetime | date):
            given[name] = value.isoformat()
        elif isinstance(value, str | int | float):
            given[name] = str(value)
        else:
            raise UsageError(
                f"{SETTINGS_FILE}: [variables]: {name}: {quote(value)} is no single value",
                hint="Write a text, a number, true, false or a date.",
            )
    return given
