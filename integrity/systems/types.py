"""Column types and columns that every system's schema shares, on PostgreSQL and SQLite."""

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, Integer, Text, Uuid, func

Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in a column of type INTEGER
Minor = BigInteger()  # money: an integer number of minor units
OperationId = Uuid(as_uuid=True).with_variant(Text, "sqlite")
Timestamp = DateTime(timezone=True).with_variant(Text, "sqlite")  # text compares in time order: one format, always UTC


def key_column() -> Column[Any]:
    """Return `id`, a generated primary key that a seeder may also set."""
    return Column("id", Key, Identity(always=False), primary_key=True)


def operation_id_column() -> Column[Any]:
    """Return `operation_id`: where a row and the call that made it meet."""
    return Column("operation_id", OperationId, nullable=False)


def time_column(name: str) -> Column[Any]:
    """Return a timestamp that the database sets to the start of the transaction."""
    return Column(name, Timestamp, nullable=False, server_default=func.now())
