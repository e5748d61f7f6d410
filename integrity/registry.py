"""Which systems there are: the only module that knows their names. Below it a System is passed, never looked up.

Five kinds, told apart by who names them:

    the reference systems         SYSTEMS: those that ship
    a project's requests          [targets.shop.requests] of its integrity.toml: what is asked of its application
    a project's own               [systems] of its integrity.toml: bank = "bank:BANK"; operations/*.sql, which run no code:
                                  that they lie there is enough
    those of installed packages   entry points of the group integrity.systems, written in the same way
    those of a program            passed to it as objects, in place of a declared one of that name

A system is imported when it is asked for, from the project's folder too, and never because a file of it lies there: most
commands need a name or two. Where a file or another process must name a system, it has the system's reference; a file's is
answered with what the project or a package declares, so that no file makes code run that they do not name.
"""

import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from integrity.errors import UsageError, quote
from integrity.invariants.load import fits
from integrity.project import OPERATIONS_FOLDER, SETTINGS_FILE, SYSTEM_NAME, SYSTEM_NAME_HINT, Project
from integrity.suggestion import suggest

if TYPE_CHECKING:
    from integrity.operation import Operation
    from integrity.sql.file import SqlFile
    from integrity.systems.system import System

GROUP = "integrity.systems"
_REFERENCE = ("ghostpass", "safebox", "streamvote", "instainstru", "inbox")
DEFAULT_SYSTEM = _REFERENCE[0]
"""That commands work on where none is named."""


class _Declared(NamedTuple):
    """Fields of a SystemReference, which would import SQLAlchemy."""

    name: str
    path: str
    folder: str
    place: str


class Registry(Mapping[str, "System"]):
    """Systems by name: the reference systems, then a project's own, then those of installed packages.

    Asked for one, it raises a UsageError where two have its name, or it cannot be imported.

    Args:
        project: None: the reference systems only.

    Raises:
        UsageError: a system of the project's, or a program's, has the name of a reference system.
    """

    def __init__(self, project: Project | None = None) -> None:
        self._declared: dict[str, list[_Declared]] = {name: [_of_reference(name)] for name in _REFERENCE}
        self._systems: dict[str, System] = {}
        self._passed_over: dict[str, UsageError] = {}
        self._patterns: Mapping[str, Sequence[str]] = {}
        self._project = project
        self._targets: dict[str, str] = {}
        if project is None:
            return
        self._patterns = {name: section.invariants for name, section in project.settings.systems.items()}
        for own in _of_project(project):
            if own.name in _REFERENCE:
                raise UsageError(f"{own.place}: {own.name} is the name of a reference system", hint="Give it another.")
            self._declared[own.name] = [own]
        for written in _of_files(project):
            if written.name in _REFERENCE:
                hint = f'Give it another: {SETTINGS_FILE}: [project] name = "..."; or name the folder otherwise.'
                raise UsageError(f"{written.place}: {written.name} is the name of a reference system", hint=hint)
            self._declared.setdefault(written.name, []).append(written)
            self._patterns = {**self._patterns, written.name: self._patterns.get(written.name, ())}
        for requested, target in _of_targets(project):
            if requested.name not in self._declared:
                self._declared[requested.name] = [requested]
                self._targets[requested.name] = target
                self._patterns = {**self._patterns, requested.name: ()}
        for other in _of_packages():
            same = self._declared.setdefault(other.name, [])
            if all(each.path != other.path for each in same):
                same.append(other)
        for name, system in project.systems.items():
            self._take(name, system)

    def __getitem__(self, name: str) -> "System":
        if name not in self._systems:
            self._systems[name] = self._load(name)
        return self._systems[name]

    def __contains__(self, name: object) -> bool:  # a mapping's own asks for the value
        return name in self._declared

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)

    def find(self, name: str) -> "System":
        """Return the system of that name.

        Raises:
            UsageError: there is none, or it cannot be imported.
        """
        self.check(name)
        return self[name]

    def operations_of(self, name: str) -> Sequence[str]:
        """Return the names of a system's operations.

        Raises:
            UsageError: there is no such system, or it cannot be imported.
        """
        return list(self.find(name).operations)

    @property
    def own(self) -> Sequence[str]:
        """The names of the project's own."""
        return list(self._patterns)

    @property
    def default(self) -> "System":
        """What commands work on where none is named: the first of the project's own, else the first of all."""
        return self[next(iter(self.own), DEFAULT_SYSTEM)]

    def loaded_at(self, target: str | None) -> "System":
        """Return what is loaded where a target is named and no system: what its requests are, else the default.

        Args:
            target: a name of integrity.toml's, or a URL; None: none is named.
        """
        name = next((name for name, of in self._targets.items() if of == target), None)
        return self[name] if name is not None else self.default

    def target_of(self, name: str) -> str:
        """Return the target whose requests a system is."""
        return self._targets[name]

    def seeded(self) -> "list[System]":
        """Return what is seeded where none is named: the project's own that have a seeder; where it has none, ours.

        Raises:
            UsageError: none of those that can be imported has one, and another cannot: its seeder may be what is meant.
        """
        own = [system for system in self.usable(self.own) if system.seeder]
        if not own and self._passed_over:
            raise next(iter(self._passed_over.values()))
        return own or [self[name] for name in _REFERENCE]

    def usable(self, names: Iterable[str]) -> "Iterator[System]":
        """Yield those of the systems that can be had; of the others describe_passed_over tells from then on."""
        for name in names:
            try:
                yield self[name]
            except UsageError as error:
                self._passed_over[name] = error

    @property
    def passed_over(self) -> "Mapping[str, UsageError]":
        """Why systems were, by name."""
        return self._passed_over

    def describe_passed_over(self) -> list[str]:
        """Return of each system that `usable` passed over why it is left out."""
        return [f"{name} is left out: {error.message}" for name, error in self._passed_over.items()]

    def owners_of_operation(self, name: str) -> list[str]:
        """Return which of the project's own, as far as they can be had, have an operation of that name."""
        return [own.name for own in self.usable(self.own) if name in own.operations or name in own.unusable]

    def check(self, name: str) -> None:
        """Raise a UsageError where there is no system of that name; nothing is imported."""
        if name not in self:
            raise UsageError(f"unknown system {quote(name)}", hint=self._suggest(name))

    def resolve(self, name: str, path: str, *, place: str) -> "System":
        """Return the system that a file names.

        Args:
            path: its reference, as "module:attribute"; empty: the file has its name alone.
            place: the file.

        Raises:
            UsageError: nobody declares it, or it cannot be imported.
        """
        for known, declared in self._declared.items():
            if path and path in (each.path for each in declared):
                return self[known]
        if name in self:
            return self[name]
        hint = f'{SETTINGS_FILE}: [systems] {name} = "{path}"' if ":" in path else self._suggest(name)
        raise UsageError(f"{place}: it is about the system {quote(name)}, which nobody declares here", hint=hint)

    def owners_of(self, file: "SqlFile") -> Sequence[str]:
        """Return the systems that an invariant is about; none: it is the project's own, and about none that we know of.

        Its folder says so, or [systems.<name>] invariants. What neither names is about the project's only system, whatever
        it reads; where there are several, about each that has one of the tables that it reads.
        """
        first = file.name.partition("/")[0]
        if "/" in file.name and first in self:
            return (first,)
        named = [name for name, patterns in self._patterns.items() if any(fits(file.name, pattern) for pattern in patterns)]
        if named or not file.is_own:
            return named
        only = set(self.own) if len(self.own) == 1 else set()
        return [name for name in self if name not in _REFERENCE and (name in only or self._has_tables_of(name, file))]

    def describe_ownership(self, name: str) -> str:
        """Return how an invariant comes to be about a system, as a hint."""
        tables = f", or let it read a table of {name}" if len(self.own) > 1 else ""
        if name not in self.own:
            return f"Put it into invariants/{name}/."
        return f'Put it into invariants/{name}/; or {SETTINGS_FILE}: [systems.{name}] invariants = ["..."]{tables}.'

    def _has_tables_of(self, name: str, file: "SqlFile") -> bool:
        """Whether a system has a table that a file reads; one that cannot be imported has none that we know."""
        from integrity.database.bookkeeping import VIEWS
        from integrity.database.made import OURS
        from integrity.engines.places import DEFAULT_SCHEMA, schema_of
        from integrity.invariants.syntax import tables_of
        from integrity.systems.reflect import Reflected

        read = {(table.schema or DEFAULT_SCHEMA, table.name) for table in tables_of(file.tree)}
        if not read.isdisjoint((OURS, f"{name}_{view}") for view in VIEWS):
            return True
        try:
            system = self[name]
        except UsageError:  # it is told where the system itself is needed
            return False
        if (known := tables_named(system.operations.values())) is not None:
            return not read.isdisjoint(known)
        if isinstance(tables := system.metadata, Reflected) and not tables.is_read:
            return any(schema in tables.places for schema, _ in read)  # all that stands there is its own
        return not read.isdisjoint((schema_of(table), table.name) for table in system.metadata.sorted_tables)

    def _take(self, name: str, system: "System") -> None:
        """Take a system that a program passed."""
        if name in _REFERENCE and system == self[name]:
            return
        if name in _REFERENCE:
            raise UsageError(f"a system was passed with the name of a reference system, {name}", hint="Give it another.")
        self._declared[name] = [_Declared(name, "", "", "passed by a program")]
        self._systems[name] = system
        self._patterns = {name: self._patterns.get(name, ()), **self._patterns}  # first: it is the default

    def _load(self, name: str) -> "System":
        from integrity.systems.loading import load_system
        from integrity.systems.system import SystemReference

        if error := self._doubled(name):
            raise error
        if name in self._targets and self._project is not None:
            from integrity.scenarios.requested import requested_system

            return requested_system(self._project, SystemReference(*self._declared[name][0]))
        return load_system(SystemReference(*self._declared[name][0]))

    def _doubled(self, name: str) -> UsageError | None:
        first, *others = self._declared[name]
        if not others:
            return None
        also = " and ".join(f"{each.path} ({each.place})" for each in others)
        return UsageError(
            f"{first.place}: {first.path}: a second system has the name {name}: {also}",
            hint=_hint_of_second([first, *others]),
        )

    def describe_doubled(self) -> list[str]:
        """Return which names several systems have, so that none of them can be used; nothing is imported for it."""
        return [str(error) for name in self if (error := self._doubled(name))]

    def _suggest(self, name: str) -> str:
        return self.suggest(name)

    def suggest(self, name: str, operations: Sequence[str] = (), unusable: Mapping[str, str] | None = None) -> str:
        """Return which system or operation could be meant: of the project's own, where it has any, those that ship last.

        Args:
            operations: that could be, too.
            unusable: the same of those that cannot be called, with why.
        """
        left_out = {each: next(iter(fault.splitlines()), "") for each, fault in (unusable or {}).items()}
        own = [each for each in self if each not in _REFERENCE]
        listed = f"{', '.join(own)}, and those that ship" if own else ", ".join(self)
        shown = f"The systems are: {listed}."
        shown += f" The operations are: {', '.join(operations)}." if operations else ""
        shown += "".join(f" {each} is left out: {fault}." for each, fault in left_out.items())
        return " ".join(filter(None, (suggest(name, [*operations, *left_out, *own]) or suggest(name, self), shown)))


def tables_named(operations: "Iterable[Operation]") -> set[tuple[str, str]] | None:
    """Return the tables that operations' statements name, with their schemas; None: nobody knows those of all."""
    from integrity.engines.places import DEFAULT_SCHEMA

    named: set[tuple[str, str]] = set()
    for operation in operations:
        if operation.tables is None:
            return None
        for table in operation.tables:
            schema, _, name = table.rpartition(".")
            named.add((schema or DEFAULT_SCHEMA, name))
    return named or None


def _hint_of_second(declared: "Sequence[_Declared]") -> str:
    """Return how systems of one name come to have two."""
    if any(not each.folder for each in declared):
        return "Uninstall one of the packages, or give a system of your own another name."
    return (
        "Rename the folder or the file of one, or move its operations to the other's; those directly in "
        f'{OPERATIONS_FOLDER}/ are called as the project is, in {SETTINGS_FILE}: [project] name = "...".'
    )


def _of_reference(name: str) -> _Declared:
    return _Declared(name, f"integrity.reference.{name}.system:{name.upper()}", "", "")


def _of_project(project: Project) -> Iterator[_Declared]:
    file = project.folder / SETTINGS_FILE
    for name, section in project.settings.systems.items():
        yield _Declared(name, section.path, str(project.folder), f"{file}: systems.{name}")


def _of_files(project: Project) -> Iterator[_Declared]:
    for name, path in (*project.operation_folders, *((_legal(stem), path) for stem, path in project.spec_files)):
        place = project.folder / path
        if not SYSTEM_NAME.fullmatch(name):
            raise UsageError(f"{place}: {quote(name)} is no name of a system", hint=SYSTEM_NAME_HINT)
        yield _Declared(name, path, str(project.folder), str(place))


def _of_targets(project: Project) -> Iterator[tuple[_Declared, str]]:
    """Yield the systems that requests of targets are, and the names of the targets."""
    file = project.folder / SETTINGS_FILE
    for target, section in project.settings.targets.items():
        name = _legal(target)
        if section.get("requests") and SYSTEM_NAME.fullmatch(name):
            yield _Declared(name, f"targets.{target}", str(project.folder), f"{file}: targets.{target}"), target


def _legal(stem: str) -> str:
    return stem.lower().replace("-", "_")  # as most of them are called: read-write-unique.spec


def _of_packages() -> Iterator[_Declared]:
    # importlib.metadata takes 45 ms to import and reads every package there is. So it is asked only where a file that pip
    # wrote has the group, which 100 packages tell in 3 ms; what lies in a zip file is not found.
    places = [Path(place) for place in dict.fromkeys(sys.path) if place and Path(place).is_dir()]
    files = [file for place in places for file in place.glob("*.dist-info/entry_points.txt")]
    if not any(f"[{GROUP}]".encode() in file.read_bytes() for file in files):
        return
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else "an installed package"
        yield _Declared(point.name, point.value.replace(" ", ""), "", f"{package}: entry point {GROUP}.{point.name}")


def shipped_suites() -> dict[str, Any]:
    """Return the suites of the systems that ship: the phases of the plan that each is of."""
    folder = Path(__file__).parent / "reference"
    files = sorted(folder.glob("*/suites.toml"))
    return {name: suite for file in files for name, suite in tomllib.loads(file.read_text(encoding="utf-8")).items()}


SYSTEMS = Registry()
"""The reference systems."""
