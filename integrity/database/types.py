"""Column types that every schema of ours shares, on PostgreSQL and SQLite.

SQLite has no uuid, jsonb or timestamptz: there they are text. A timestamp is `2026-01-17 18:30:00` with an optional
fraction, always UTC, as SQLite's own current_timestamp writes it, so that text compares in time order.
"""

from sqlalchemy import BigInteger, DateTime, Integer, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in a column of type INTEGER
Minor = BigInteger()  # money: an integer number of minor units
OperationId = Uuid(as_uuid=True).with_variant(Text, "sqlite")
Timestamp = DateTime(timezone=True).with_variant(Text, "sqlite")
Json = JSONB().with_variant(Text, "sqlite")
