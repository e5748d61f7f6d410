"""A folder of operations' files as a system: `operations/*.sql` is one, each folder in it another.

    operations/withdraw.sql          withdraw, of the system that has the project's name
    operations/shop/buy.sql          buy, of the system shop

That they lie there is enough: they are read, and no code of theirs runs here. A file that cannot be understood makes its
own operation unusable and no other.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from integrity.errors import SqlFileError, UsageError
from integrity.project import is_of_operation
from integrity.sql.file import shown_path
from integrity.systems.reflect import Reflected
from integrity.systems.script.accepting import sufficing
from integrity.systems.script.asked import find_faults
from integrity.systems.script.file import OperationFile, read_operation_file
from integrity.systems.script.rows import unite
from integrity.systems.system import System, SystemReference
from integrity.systems.wanted_row import WantedRow

_NO_TABLES = "Or name the database that has them: --database URL, or [database] url."


@dataclass(frozen=True, slots=True)
class OperationFolder:
    """What is in a folder.

    Args:
        files: that can be used.
        faults: why others cannot, by the names of their operations.
    """

    files: tuple[OperationFile, ...]
    faults: dict[str, str]


def read_folder(folder: Path) -> OperationFolder:
    """Return what is in a folder."""
    files, faults = [], {}
    for path in files_in(folder):
        try:
            files.append(read_operation_file(path))
        except SqlFileError as error:
            faults[path.stem] = str(error)
    return OperationFolder(tuple(files), faults)


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder, by name."""
    return (path for path in sorted(folder.glob("*")) if is_of_operation(path))


def load_folder(reference: SystemReference) -> System:
    """Return the system that a folder is.

    Raises:
        UsageError: the folder is gone, or none of its files can be used.
    """
    folder = Path(reference.folder, reference.path)
    found = read_folder(folder)
    if not found.files:
        fault = next(iter(found.faults.values()), f"{shown_path(folder)}: there is no file of an operation")
        raise UsageError(fault, hint=None if found.faults else f"Write one: {shown_path(folder)}/withdraw.sql.")
    schemas = sorted({schema for file in found.files for schema in file.schemas})
    return System(
        name=reference.name,
        title=f"the operations of {shown_path(folder)}",
        metadata=Reflected(*schemas, hint=_NO_TABLES),
        operations={file.name: file.operation for file in found.files},
        pools={pool: query for file in found.files for pool, query in file.pools.items()},
        rows=_rows_of(found.files),
        rows_of=partial(_rows_of, found.files),
        likely_of=partial(_likely_of, found.files),
        find_faults=partial(find_faults, found.files),
        unusable=found.faults,
        reference=reference,
    )


def _rows_of(files: Sequence[OperationFile], names: Collection[str] | None = None) -> tuple[WantedRow, ...]:
    """Return the rows that a race of the operations of these names is played on, by default of all."""
    return unite(file.wants for file in files if names is None or file.name in names)


def _likely_of(files: Sequence[OperationFile], names: Collection[str]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return values of columns with which calls of the operations of these names are accepted."""
    return sufficing(file.accepting.values for file in files if file.name in names)
