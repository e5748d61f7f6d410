"""Documents: what a run's folder holds as JSON, each kind read back by one reader and written whole or not at all.

A document says the number of its format. One without a number was written before there were any: its kind says how it reads
as of now. One of another number is not guessed at; the message says which it is, and what brings a new one.

The models stand beside this module, each kind in a file of its own. They take a moment to build, so they are imported where
one is read or written: an audit that has none to read does not pay for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from integrity.errors import HistoryError, describe_mistake, quote
from integrity.runs.files import write_whole

RUN_AGAIN = "Run the workload again."


class DocumentPart(BaseModel):
    """A part of a document. What a later version adds to it is left out when it is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Document(DocumentPart):
    """A document; its kind has the number that it is read and written with."""

    format: int

    def to_json(self) -> dict[str, Any]:
        """Return it as it is written; what was not said of it is left out."""
        return {"format": self.format, **self.model_dump(exclude_unset=True)}


Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class DocumentKind(Generic[Model]):
    """A kind of document.

    Args:
        file: its name in the folder.
        model: what it is read into.
        format: the number that is written, and read.
        hint: what brings a new one, where this one cannot be read.
        from_unnumbered: returns one of the time before the numbers as it would be written now; None: there were none.
    """

    file: str
    model: type[Model]
    format: int
    hint: str
    from_unnumbered: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None


def read_document(folder: Path, kind: DocumentKind[Model]) -> Model:
    """Return the folder's document of that kind.

    Raises:
        HistoryError: there is none, it cannot be read, or it is of another format.
    """
    file = folder / kind.file
    try:
        value = orjson.loads(file.read_bytes())
    except FileNotFoundError:
        raise HistoryError(f"{file}: there is no such file", hint="This is not the folder of a run.") from None
    except (OSError, orjson.JSONDecodeError) as error:
        raise HistoryError(f"{file}: cannot be read: {error}", hint=kind.hint) from None
    if isinstance(value, dict) and "format" not in value and kind.from_unnumbered is not None:
        value = {**kind.from_unnumbered(value), "format": kind.format}
    if not isinstance(value, dict) or value.get("format") != kind.format:
        found = f"format {quote(str(value['format']))}" if isinstance(value, dict) and "format" in value else "no format"
        raise HistoryError(
            f"{file}: written by another version: it has {found}, and this one reads format {kind.format}", hint=kind.hint
        )
    try:
        return TypeAdapter(kind.model).validate_json(orjson.dumps(value))
    except ValidationError as error:
        mistake = describe_mistake(error.errors(include_url=False)[0])
        raise HistoryError(f"{file}: cannot be read: {mistake}", hint=kind.hint) from None


def read_lines(file: Path, adapter: TypeAdapter[Model]) -> list[Model]:
    """Return the records of a log of JSON lines; a last line that was cut off is left out, no file is no record.

    Raises:
        HistoryError: it cannot be read.
    """
    try:
        *lines, _cut_off = file.read_bytes().split(b"\n") if file.exists() else [b""]
    except OSError as error:
        raise HistoryError(f"{file}: cannot be read: {error}", hint=RUN_AGAIN) from None
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(adapter.validate_json(line))
        except ValidationError as error:
            mistake = describe_mistake(error.errors(include_url=False)[0])
            raise HistoryError(f"{file}:{number}: cannot be read: {mistake}", hint=RUN_AGAIN) from None
    return records


def write_document(folder: Path, file: str, document: Document) -> None:
    """Write the document into a file of the folder.

    Raises:
        HistoryError: it cannot be written.
    """
    content = orjson.dumps(document.to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    write_whole(folder / file, content)
