"""From a reference to its system: a module is imported, or a folder of SQL read, and what can go wrong with one is said."""

import sys
import traceback
from contextlib import redirect_stdout
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from integrity.errors import AuditError, UsageError, quote
from integrity.project import SPEC_SUFFIX
from integrity.systems.system import System, SystemReference
from integrity.user_code import claim, is_installed


def load_system(reference: SystemReference) -> System:
    """Return the system that a reference names, which it carries from here on.

    Raises:
        UsageError: it cannot be imported or read, is no System, or has another name than it is declared under.
    """
    if reference.path.endswith(SPEC_SUFFIX):
        from integrity.systems.script.spec_system import load_spec_system

        return load_spec_system(reference)
    if ":" not in reference.path:
        from integrity.systems.script.folder import load_folder

        return load_folder(reference)
    found = _find(reference)
    if not isinstance(found, System):
        raise UsageError(
            f"{reference.place}: {reference.path} is no System, but of type {quote(type(found).__name__)}",
            hint=f"Name what is made by integrity.System(name={reference.name!r}, ...).",
        )
    if found.name != reference.name:
        raise UsageError(
            f"{reference.place}: {reference.path} is a system of the name {quote(found.name)}",
            hint=f"Declare it under that name, or give it the name {reference.name}.",
        )
    return found.found_at(reference)


def with_place(system: System) -> System:
    """Return a system that was passed as an object with where other processes find it, if a module of theirs has it.

    What a script makes as it runs they cannot: it would run again in each of them.
    """
    for name, module in list(sys.modules.items()):
        if name != getattr(module, "__name__", "") or name in ("__main__", "__mp_main__"):
            continue
        for attribute, value in list(vars(module).items()):
            if isinstance(value, System) and value.name == system.name and value.operations is system.operations:
                return system.found_at(SystemReference(system.name, f"{name}:{attribute}"))
    return system


def _find(reference: SystemReference) -> Any:
    module_name, _, attribute = reference.path.partition(":")
    if reference.folder and reference.folder not in sys.path:
        sys.path.insert(0, reference.folder)  # it stays: modules import others as they are used
    if reference.place:
        claim(module_name, reference.folder)
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no result of ours
            module = import_module(module_name)
    except (Exception, SystemExit) as error:
        if not reference.place:  # of ours, and so is the fault
            raise
        raise _describe(error, reference, module_name) from None
    try:
        return attrgetter(attribute)(module)
    except AttributeError:
        raise UsageError(
            f"{reference.place}: module {module_name} ({module.__file__}) has no {attribute}",
            hint=f"Its systems are: {', '.join(_systems_in(module)) or 'none'}.",
        ) from None


def _systems_in(module: Any) -> list[str]:
    return [name for name, value in vars(module).items() if isinstance(value, System)]


def _describe(error: BaseException, reference: SystemReference, module_name: str) -> UsageError:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is not None and f"{module_name}.".startswith(f"{missing}."):
        where = f" in {reference.folder}, and none is installed" if reference.folder else " that is installed"
        return UsageError(
            f"{reference.place}: {reference.path}: there is no module {missing}{where}",
            hint='It is written as "module:ATTRIBUTE"; modules are imported from the folder of integrity.toml.',
        )
    said = f"{reference.place}: {reference.path} cannot be imported: {_place(error, reference.folder)}"
    if isinstance(error, AuditError):  # of what the module makes
        return UsageError(f"{said}{error.message}", hint=error.hint)
    return UsageError(
        f"{said}{type(error).__name__}: {' '.join(str(error).split())}",
        hint=f"To see all of it: python -c 'import {module_name}', in the folder of integrity.toml.",
    )


def _place(error: BaseException, folder: str) -> str:
    """Return where in the user's code an import went wrong, as "file:line: "; nothing where it did not get there."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: "
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)[1:] if not frame.filename.startswith("<frozen")]
    own = [
        frame
        for frame in frames
        if folder and Path(frame.filename).is_relative_to(folder) and not is_installed(frame.filename)
    ]
    return next((f"{frame.filename}:{frame.lineno}: " for frame in reversed(own or frames)), "")
