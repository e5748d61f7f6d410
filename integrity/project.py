"""The project: the folder that a command works in, its settings, and where its files are.

A project is a folder with an `integrity.toml`, found by walking up from the current folder; without one the current folder
is the project and every setting has its default. What the tool makes (embedded server, run folders) is in `.integrity/`
there. The reference systems' files (invariants, seeds, queries) are at the top level of a checkout and inside the
installed package: `reference_folder` finds them in both.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import integrity
from integrity.environment import fill_in, filled, has_variables
from integrity.errors import UsageError, describe_mistake, quote
from integrity.toml_text import unreadable

SETTINGS_FILE = "integrity.toml"
STATE_FOLDER = ".integrity"
OPERATIONS_FOLDER = "operations"
SPEC_SUFFIX = ".spec"
_KINDS = ("invariants", "queries", "seeds", OPERATIONS_FOLDER, "scenarios")
"""Of isolationtester's files."""
DATABASE_VARIABLE = "INTEGRITY_DATABASE_URL"


# Settings are read by pydantic where there is a file of them, and are plain where there is none: it takes longer to import
# than the rest of a short command.
_NOTHING_ELSE = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class ProjectSection:
    """[project] of integrity.toml.

    Args:
        name: of the system that the files of `operations/` are; else made of the folder's.
    """

    __pydantic_config__: ClassVar[Any] = _NOTHING_ELSE

    name: str | None = None


@dataclass(frozen=True, slots=True)
class AppSection:
    """[app] of integrity.toml: the application that is loaded; what runs keep of its version.

    Args:
        commit: which version it is, as by `"${GIT_SHA}"`.
        folder: of its source, from the project's folder on: the version is that which git has checked out there. Without
            either it is the project's own folder that is looked at.
    """

    __pydantic_config__: ClassVar[Any] = _NOTHING_ELSE

    commit: str | None = None
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """[database] of integrity.toml.

    Args:
        url: which one commands work on; variables in it are filled in when it is used. A file lies in the folder of the
            project: "sqlite:///shop.db".
        test: the name of a database that is a test database, whatever it holds: it may be seeded and hammered.
    """

    __pydantic_config__: ClassVar[Any] = _NOTHING_ELSE

    url: str | None = None
    test: str | None = None


@dataclass(frozen=True, slots=True)
class AuditSection:
    """[audit] of integrity.toml.

    Args:
        empty: what an invariant counts as whose tables are all empty and whose query returned nothing.
        functions: as "schema.name", what queries may call although it could do more than read.
    """

    __pydantic_config__: ClassVar[Any] = _NOTHING_ELSE

    empty: Literal["empty", "unknown"] = "empty"
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LimitSection:
    """[monitor.limits.<alert>] of integrity.toml; what is left out is as the monitor has it.

    Args:
        warn: over it a finding is a warning, in the unit of the alert: a share of 1, seconds, ms, bytes, a number.
        critical: over it the finding is critical.
    """

    __pydantic_config__: ClassVar[Any] = _NOTHING_ELSE

    warn: float | None = None
    critical: float | None = None


@dataclass(frozen=True, slots=True)
class MonitorSection:
    """[monitor] of integrity.toml.

    Args:
        limits: by the names of alerts, in place of the monitor's own and of a system's plan.
        counters: name of a metric that the application tells -> the query of `queries/` of the rows that it counts: one row
            with the column held_count, or a row each.
    """

    __pydantic_config__: ClassVar[Any] = _NOTHING_ELSE

    limits: Mapping[str, LimitSection] = field(default_factory=dict)
    counters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SystemSection:
    """[systems.<name>] of integrity.toml; `[systems] bank = "bank:BANK"` is [systems.bank] path = "bank:BANK".

    Args:
        path: where the system is, as "module:attribute".
        invariants: names or patterns of those that are its own, beside what lies in the folder of its name; where the
            project has several systems, and the tables that one reads do not say whose it is.
    """

    __pydantic_config__: ClassVar[Any] = _NOTHING_ELSE

    path: str
    invariants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """integrity.toml.

    Args:
        project: what it is called.
        app: which application is loaded, and which version of it.
        database: which one it is about.
        audit: how invariants are judged.
        monitor: what `run` and `monitor` hold a database and an application to.
        systems: the project's own, by name.
        profiles: system -> profile -> what is other than in the profile of that name, or what it `extends`.
        suites: lists of profiles, by name.
        variables: values for parameters of invariants, by name.
        targets: applications that are asked over HTTP, by name: what runs load and scenarios race.
    """

    __pydantic_config__: ClassVar[Any] = _NOTHING_ELSE

    project: ProjectSection = ProjectSection()
    app: AppSection = AppSection()
    database: DatabaseSettings = DatabaseSettings()
    audit: AuditSection = AuditSection()
    monitor: MonitorSection = field(default_factory=MonitorSection)
    systems: Mapping[str, SystemSection] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    suites: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Project:
    """A folder to work in.

    Args:
        folder: absolute.
        settings: of its integrity.toml, or the defaults.
        systems: by name, those that a program passed as objects: a System each, a type that is not known down here.
    """

    folder: Path
    settings: Settings
    systems: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state_folder(self) -> Path:
        """What the tool makes is here: `.integrity/`."""
        return self.folder / STATE_FOLDER

    @property
    def is_own(self) -> bool:
        """Whether it is somebody's project: it has settings, or anything in a folder that commands read."""
        held = [self.folder / kind for kind in _KINDS if (self.folder / kind).resolve() != reference_folder(kind).resolve()]
        return (self.folder / SETTINGS_FILE).is_file() or any(folder.is_dir() and any(folder.iterdir()) for folder in held)

    @property
    def unread_operations(self) -> list[str]:
        """What lies directly in the folder of operations and is none, by its name or kind: Sell.SQL, a folder sell.sql."""
        read = [path for _, path in (*self.operation_folders, *self.spec_files)]
        found = sorted((self.folder / OPERATIONS_FOLDER).glob("[!.]*"))
        shown = [str(each.relative_to(self.folder)) for each in found if not is_of_operation(each)]
        return [each for each in shown if each not in read]

    @property
    def runs_folder(self) -> Path:
        return self.state_folder / "runs"

    @property
    def name(self) -> str:
        """The name of the project's own system: as its settings say, else made of the folder's."""
        made = re.sub(r"[^a-z0-9_]+", "_", self.folder.name.lower()).strip("_")[:40]
        is_usable = SYSTEM_NAME.fullmatch(made) and made != "integrity"  # that is the name of our own books
        return self.settings.project.name or (made if is_usable else "project")

    @property
    def operation_folders(self) -> list[tuple[str, str]]:
        """Folders that operations' files lie in: which system they are, and the path below the project's folder."""
        top = self.folder / OPERATIONS_FOLDER
        named = [(self.name, OPERATIONS_FOLDER)]
        named += [(each.name, f"{OPERATIONS_FOLDER}/{each.name}") for each in sorted(top.glob("*")) if each.is_dir()]
        return [(name, path) for name, path in named if any(map(is_of_operation, (self.folder / path).glob("*")))]

    @property
    def spec_files(self) -> list[tuple[str, str]]:
        """Files of isolationtester's that lie there: which system each is, and its path below the project's folder."""
        found = sorted((self.folder / OPERATIONS_FOLDER).rglob(f"*{SPEC_SUFFIX}"))
        return [(path.stem, str(path.relative_to(self.folder))) for path in found if path.is_file()]

    def database_url(self, given: str | None, environment: Mapping[str, str]) -> str | None:
        """Return the URL that is to be used: as given, else of the environment, else of the settings; None: embedded.

        Raises:
            UsageError: as find_database says.
        """
        found = self.find_database(given, environment)
        return found and found[1]

    def find_database(self, given: str | None, environment: Mapping[str, str]) -> tuple[str, str] | None:
        """Return the URL that is to be used, behind the place that names it; None: nothing does, the embedded one is meant.

        Raises:
            UsageError: the first place that names one is empty, or names a variable that there is not.
        """
        places = (("--database", given), (DATABASE_VARIABLE, environment.get(DATABASE_VARIABLE)))
        place, text = next(
            ((place, text) for place, text in places if text is not None),
            (f"{self.folder / SETTINGS_FILE}: database.url", None),
        )
        if text is None and self.settings.database.url is not None:
            text = self._found_here(fill_in(self.settings.database.url, environment, place=place))
        if text is not None and not text.strip():  # a variable of a script that was never set: no other one is meant
            raise UsageError(f"{place} is empty", hint="Give a URL, or leave it out to use the embedded server.")
        return None if text is None else (place, text)

    def _found_here(self, url: str) -> str:
        """Return a URL of the settings: a file without a leading / lies in the project's folder, wherever one stands."""
        kind, _, path = url.partition(":///")
        is_file = url.startswith(("sqlite:///", "sqlite+pysqlite:///"))
        is_relative = is_file and path != "" and not path.startswith(("/", ":memory:"))
        if not is_relative or self.folder.resolve() == Path.cwd():
            return url
        return f"{kind}:///{self.folder.absolute() / path}"


def is_of_operation(path: Path) -> bool:
    """Return whether a file is an operation's, by its name."""
    return path.suffix == ".sql" and not path.name.startswith(".") and path.is_file()


def find_project(start: Path) -> Project:
    """Return the project that the folder `start` is in.

    Raises:
        UsageError: its integrity.toml cannot be read or holds something unknown.
    """
    folder = find_folder(start)
    file = folder / SETTINGS_FILE
    return Project(folder, _read_settings(file) if file.is_file() else Settings())


def find_folder(start: Path) -> Path:
    """Return the folder of the project that the folder `start` is in; nothing in it is read.

    Raises:
        UsageError: the current folder is gone.
    """
    try:
        start = start.absolute()
    except FileNotFoundError:
        raise UsageError(
            "the current folder no longer exists", hint="Go to another, or name one by its whole path with --project."
        ) from None
    return next((folder for folder in (start, *start.parents) if (folder / SETTINGS_FILE).is_file()), start)


def _read_settings(file: Path) -> Settings:
    import tomllib

    from pydantic import TypeAdapter, ValidationError

    given: dict[str, Any] = {}
    text = ""
    try:
        text = file.read_text(encoding="utf-8-sig")
        given = _written_out(tomllib.loads(text))
        settings = TypeAdapter(Settings).validate_python(_filled(given, file))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        first["input"] = _as_written(given, first["loc"], first["input"])
        raise UsageError(f"{file}: {describe_mistake(first)}", hint=_describe_known(first["loc"])) from None
    except RecursionError:
        raise UsageError(
            f"{file}: cannot be read: its brackets are nested too deeply", hint="No setting has more than six of them."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise unreadable(file, text, error, otherwise="integrity.toml is a TOML file in UTF-8.") from None
    except (OSError, ValueError) as error:  # not UTF-8, or an integer of more than 4,300 digits
        raise UsageError(f"{file}: cannot be read: {error}", hint="integrity.toml is a TOML file in UTF-8.") from None
    for number, function in enumerate(settings.audit.functions):
        if not re.fullmatch(r"[^.()]+\.[^.()]+", function):
            place, said = f"{file}: audit.functions.{number}", "a function is written as schema.name, without parentheses"
            shown = _as_written(given, ("audit", "functions", number), function)
            raise UsageError(f"{place}: {said}, not {quote(shown)}", hint=_describe_known(("audit", "functions")))
    if settings.project.name is not None and not SYSTEM_NAME.fullmatch(settings.project.name):
        shown = _as_written(given, ("project", "name"), settings.project.name)
        raise UsageError(f"{file}: project.name: {quote(shown)} is no name of a system", hint=SYSTEM_NAME_HINT)
    for name, section in settings.systems.items():
        if not SYSTEM_NAME.fullmatch(name):
            raise UsageError(f"{file}: systems: {quote(name)} is no name of a system", hint=SYSTEM_NAME_HINT)
        if not re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", section.path):
            said = "a system is written as module:attribute"
            shown = _as_written(given, ("systems", name, "path"), section.path)
            raise UsageError(f"{file}: systems.{name}: {said}, not {quote(shown)}", hint=_SYSTEM_HINT)
    return settings


SYSTEM_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
SYSTEM_NAME_HINT = "It begins with a lowercase letter and goes on with those, digits and _, 40 at most."
_SYSTEM_HINT = (
    'Write bank = "module:ATTRIBUTE"; or, in [systems.bank], path = "module:ATTRIBUTE" and invariants = ["money/*"].'
)


def _written_out(given: dict[str, Any]) -> dict[str, Any]:
    """Return settings with each system as a table, also where only its path is given."""
    systems = given.get("systems")
    if not isinstance(systems, dict):
        return given
    tables = {name: value if isinstance(value, dict) else {"path": value} for name, value in systems.items()}
    return {**given, "systems": tables}


def _filled(given: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return settings with the variables in them filled in, but for the database's URL: often nobody asks for it."""
    database = given.get("database")
    url = database.get("url") if isinstance(database, dict) else None
    if not isinstance(database, dict) or url is None:
        return dict(filled(given, os.environ, place=f"{file}: "))
    others = {**given, "database": {name: value for name, value in database.items() if name != "url"}}
    known: dict[str, Any] = filled(others, os.environ, place=f"{file}: ")
    return {**known, "database": {**known["database"], "url": url}}


def _as_written(given: Any, place: Sequence[int | str], value: object) -> object:
    """Return what a message shows of a value: where a variable stands in it, the text that names the variable."""
    for part in place:
        try:
            given = given[part]
        except (KeyError, IndexError, TypeError):
            return value
    return given if has_variables(given) else value


def _describe_known(place: Sequence[int | str]) -> str:
    """Return what may be written where a setting is not to be used: in its section, or the sections."""
    if place[:1] == ("systems",):
        return _SYSTEM_HINT
    sections = {section.name: section.type for section in fields(Settings)}
    section = sections.get(str(place[0])) if len(place) > 1 else None
    if is_dataclass(section):
        return f"Known in [{place[0]}]: {', '.join(setting.name for setting in fields(section))}."
    return f"Known sections: {', '.join(f'[{name}]' for name in sorted(sections))}."


def reference_folder(kind: str) -> Path:
    """Return the folder "invariants", "seeds" or "queries" of the reference systems."""
    package = Path(integrity.__file__).parent
    installed = package / "reference" / kind
    return installed if installed.is_dir() else package.parent / kind


def close_folder(folder: Path) -> None:
    """Make a folder that only we may look into; one that is there, and ours, is closed to others.

    Root's can be passed through, though not looked into: what root starts as another user has its files in there.
    """
    mode = 0o711 if os.geteuid() == 0 else 0o700
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o777 & ~mode:
        folder.chmod(mode)


def open_for_us_only(file: str, flags: int) -> int:
    """Open a file, as `open` is told to; one that is made is nobody else's to read."""
    return os.open(file, flags, 0o600)


def make_folder_of(file: Path, *, option: str) -> None:
    """Make the folder that a file is to be written to, and those above it.

    Args:
        option: that named the file.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "a folder above it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise UsageError(f"{file}: cannot be written: {why}", hint=f"Name another file: {option}") from None


def make_state_folder(project: Project) -> Path:
    """Return `.integrity/`, made if need be, with a .gitignore of its own so that it is never committed.

    Raises:
        UsageError: it cannot be made or written.
    """
    folder = project.state_folder
    try:
        close_folder(folder)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be written: {error.strerror}",
            hint="Run in a folder that you may write, or name another with --project.",
        ) from None
    return folder
