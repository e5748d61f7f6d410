"""What a statement's parameter, an argument or a reply may hold."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any, SupportsBytes
from uuid import UUID

Scalar = str | int | bool | float | Decimal | UUID | datetime | date | time_of_day | timedelta | SupportsBytes
Value = Scalar | list[Any] | tuple[Any, ...] | Mapping[str, Any] | None
"""A list is an array, a tuple a key of several columns, a mapping a JSON object, bytes are a bytea.

The systems that ship use no floats and no decimals: their money is an integer of minor units.
"""


def told(value: Any) -> str:
    """Return as text a value that JSON has no word for, as a history tells it."""
    return f"\\x{bytes(value).hex()}" if isinstance(value, bytes | bytearray | memoryview) else str(value)
