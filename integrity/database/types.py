"""Column types that every schema of ours shares; an engine that lacks one says what it has instead.

Where there is no uuid, jsonb or timestamptz they are text. A timestamp is then `2026-01-17 18:30:00` with an optional
fraction, always UTC, so that text compares in time order.
"""

from typing import Any

from sqlalchemy import BigInteger, DateTime, Index, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from integrity.engines.known import ENGINES, find_engine


def _everywhere(kind: TypeEngine[Any], *, word: str) -> TypeEngine[Any]:
    for name in ENGINES:
        instead = find_engine(name).column_types.get(word)
        if instead is not None:
            kind = kind.with_variant(instead, name)
    return kind


Key = _everywhere(BigInteger(), word="key")
Minor = BigInteger()  # money: an integer number of minor units
OperationId = _everywhere(Uuid(as_uuid=True), word="id")
Timestamp = _everywhere(DateTime(timezone=True), word="time")
Json = _everywhere(JSONB(), word="json")


def index_where(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Return a partial index, the same on every engine."""
    conditions: dict[str, Any] = {f"{engine}_where": text(where) for engine in ENGINES}
    return Index(name, *columns, unique=unique, **conditions)
