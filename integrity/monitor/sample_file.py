"""The monitor's file read back: JSON lines, the facts first and again where they change, and the samples."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from integrity.errors import HistoryError, describe_mistake, quote
from integrity.monitor.sample import Sample

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FORMAT = 1  # a reader of another number must not guess


def read_file(path: Path) -> tuple[dict[str, Any], list[Sample]]:
    """Return the facts, as they were last known, and the samples of a monitor's file; a line that was cut off is left out.

    Raises:
        HistoryError: it is not such a file, of another format, or a line is no sample.
    """
    from pydantic import TypeAdapter  # watching does not wait for it, only whoever sums up

    samples_of = TypeAdapter(Sample)
    facts: dict[str, Any] = {}
    samples: list[Sample] = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        place = f"{path}:{number}"
        try:
            record = orjson.loads(line)
            kind = record.pop("kind")
        except (orjson.JSONDecodeError, KeyError, AttributeError):
            raise HistoryError(f"{place}: not a line of a monitor: {line[:60]!r}") from None
        if kind == "facts":
            facts = record
            _check_format(facts, place)
        elif kind == "sample":
            samples.append(_read_sample(record, place, samples_of))
    return facts, samples


def _check_format(facts: dict[str, Any], place: str) -> None:
    if facts.get("format", FORMAT) != FORMAT:  # without a number: of before there were any
        raise HistoryError(
            f"{place}: written by another version: it has format {quote(str(facts['format']))}, "
            f"and this one reads format {FORMAT}",
            hint="Read it with the version that wrote it, or watch again.",
        )


def _read_sample(record: dict[str, Any], place: str, samples_of: "TypeAdapter[Sample]") -> Sample:
    from pydantic import ValidationError

    try:
        return samples_of.validate_python(record)
    except ValidationError as error:
        mistake = describe_mistake(error.errors(include_url=False)[0])
        raise HistoryError(f"{place}: cannot be read: {mistake}", hint="Watch again.") from None
