"""The words of a race: which system and which of its operations they name, or what is meant where they name none."""

from collections.abc import Sequence

from integrity.errors import UsageError, quote
from integrity.numbers import counted
from integrity.project import Project
from integrity.race.matrix import pairs_of
from integrity.registry import DEFAULT_SYSTEM, SYSTEMS, Registry
from integrity.suggestion import suggest
from integrity.systems.script.folder import read_folder
from integrity.systems.system import Bug, System


def read_names(project: Project, registry: Registry, names: Sequence[str]) -> tuple[System, tuple[str, ...]]:
    """Return the system and its operations that are named; the default system when none is.

    The first name is a system's, or an operation's of one that the project has as files. Whoever has a project means
    their own: an operation that only a system which ships has is told as one that nobody has.

    Raises:
        UsageError: there is no such system or operation, or several; or none is named in a project that has none.
    """
    if not names and not registry.own and project.is_own:
        hint = f"Write one: integrity new operation NAME; or race a system that ships: integrity race {DEFAULT_SYSTEM}"
        raise UsageError(f"{project.folder} has no operations to race", hint=" ".join([*_describe_unread(project), hint]))
    if not names:
        return registry.default, ()
    first, *operations = names
    owners = registry.owners_of_operation(first)
    spelled = [f"integrity race --system {owner} {' '.join(names)}" for owner in owners]
    if first in registry and owners:
        spelled.append(f"integrity race --system {' '.join(names)}")
        raise UsageError(
            f"{quote(first)} is a system, and an operation of {' and of '.join(owners)}",
            hint=f"Say which is meant: {' or '.join(spelled)}",
        )
    if len(owners) > 1:
        said = f"{quote(first)} is an operation of {' and of '.join(owners)}"
        raise UsageError(said, hint=f"Say of which: {' or '.join(spelled)}")
    if first not in registry and owners:
        return find_operations(registry[owners[0]], names)
    if first not in registry:
        usable = list(registry.usable(registry))
        own = [system for system in usable if system.name in registry.own]
        is_ours = not registry.own and not project.is_own
        others = [each.name for each in usable if first in each.operations and (is_ours or each.name not in SYSTEMS)]
        if others and registry.passed_over.keys().isdisjoint(registry.own):
            raise UsageError(
                f"{quote(first)} is no system", hint=f"Name it first: integrity race {others[0]} {' '.join(names)}"
            )
        raise _unknown(first, project, registry, own)
    return find_operations(registry.find(first), operations)


def spelled_pair(operation: str, *, system: str, systems: Sequence[str]) -> str:
    """Return what `integrity race` takes to race an operation of a project's folder with itself.

    Args:
        system: as the folder's is called.
        systems: that the project has beside it.
    """
    pair = f"{operation} {operation}"
    return f"--system {system} {pair}" if operation in (system, *systems, *SYSTEMS) else pair


def describe_unnamed(system: System) -> list[str]:
    """Return what is raced where nothing was named, and a system that ships is taken."""
    first = next(iter(system.operations))
    pairs = counted(len(pairs_of(list(system.operations))), "pair")
    return [
        f"racing {system.name}, which ships, as nothing was named: {pairs} of operations, which takes a while; "
        f"one of them: integrity race {system.name} {first} {first}"
    ]


def _unknown(name: str, project: Project, registry: Registry, own: Sequence[System]) -> UsageError:
    """Return that a word is no system's name and no operation's, and what is spelt nearly so.

    Where systems of the project's own cannot be looked into, it may be an operation of theirs, and that is said first.
    """
    folders = [read_folder(project.folder / path) for _, path in project.operation_folders]
    fault = next((folder.faults[name] for folder in folders if name in folder.faults), None)
    if fault is not None:  # it is one, and what is wrong with it is all there is to say
        return UsageError(fault)
    operations = [each for system in own for each in system.operations]
    unusable = {each: fault for system in own for each, fault in system.unusable.items()}
    hint = registry.suggest(name, operations, unusable)
    passed_over = {system: error for system, error in registry.passed_over.items() if system in registry.own}
    if not passed_over:
        hints = [*_describe_unread(project), hint, *registry.describe_passed_over()]
        return UsageError(f"unknown system{' or operation' if operations else ''} {quote(name)}", hint=" ".join(hints))
    faults = "; ".join(f"{system} cannot be used: {error.message}" for system, error in passed_over.items())
    hints = [error.hint for error in passed_over.values() if error.hint]
    return UsageError(
        f"{quote(name)} is no system, nor an operation that can be found: {faults}",
        hint=" ".join(dict.fromkeys([*hints, hint])),
    )


def _describe_unread(project: Project) -> list[str]:
    """Return what lies where operations do, and is none that is read."""
    return [f"{path} is no operation's file: its name ends in .sql, in lower case." for path in project.unread_operations]


def find_operations(system: System, operations: Sequence[str]) -> tuple[System, tuple[str, ...]]:
    """Return the system with the operations of these names.

    Raises:
        UsageError: it has none of that name, or one that cannot be used.
    """
    for operation in operations:
        if operation in system.unusable:
            raise UsageError(system.unusable[operation])
        if operation not in system.operations:
            hint = suggest(operation, system.operations, otherwise=f"The operations are: {', '.join(system.operations)}.")
            raise UsageError(f"system {system.name} has no operation {quote(operation)}", hint=hint)
    return system, tuple(operations)


def race_of(system: System, bug: Bug | None) -> tuple[str, ...]:
    """Return the operations that a bug says collide."""
    if bug is not None and bug.race:
        return bug.race
    named = next(iter(system.operations))
    raise UsageError(
        "--schedule plays the calls of some operations, and none are named",
        hint=f"For example: integrity race {system.name} {named} {named} --schedule ABBA",
    )
