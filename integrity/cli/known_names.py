"""Arguments that name something which a project declares: where none is given, the message lists what there is."""

from collections.abc import Callable
from pathlib import Path

import click

from integrity.errors import AuditError


class KnownName(click.ParamType[str]):
    """A name.

    Args:
        list_known: says in a sentence which there are, of the project in that folder and the options given.
    """

    name = "text"

    def __init__(self, list_known: Callable[[Path, click.Context], str]) -> None:
        self._list_known = list_known

    def list_known(self, context: click.Context) -> str:
        """Return which there are; empty where the project cannot be read."""
        folder = context.params.get("project_folder") or Path()
        try:
            return self._list_known(folder, context)
        except AuditError:
            return ""


def wanted_unless(option: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """Return what refuses an argument that is left out, unless that option, which is read before it, stands for it."""

    def check(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        if value is None and context.params.get(option) is None:
            spelling = f"'{parameter.human_readable_name.upper()}'"  # as of one that must be there, without brackets
            raise click.MissingParameter(ctx=context, param=parameter, param_hint=spelling)
        return value

    return check


def _list_profiles(folder: Path, context: click.Context) -> str:
    from integrity.jobs.run import find_profiles
    from integrity.project import find_project

    system, names = find_profiles(find_project(folder), context.params.get("system_name"))
    return f"The profiles of {system.name} are: {', '.join(names)}."


def _list_suites(folder: Path, _context: click.Context) -> str:
    from integrity.jobs.suite import find_suites
    from integrity.project import find_project

    return f"The suites are: {', '.join(find_suites(find_project(folder)))}."


PROFILE = KnownName(_list_profiles)
SUITE = KnownName(_list_suites)
