"""Columns that every system's schema shares; their types are those of every schema of ours."""

from typing import Any

from sqlalchemy import Column, Identity, func

from integrity.database.types import Key, Minor, OperationId, Timestamp, index_where

__all__ = ["Key", "Minor", "OperationId", "Timestamp", "index_where", "key_column", "operation_id_column", "time_column"]


def key_column() -> Column[Any]:
    """Return `id`, a generated primary key that a seeder may also set."""
    return Column("id", Key, Identity(always=False), primary_key=True)


def operation_id_column() -> Column[Any]:
    """Return `operation_id`: where a row and the call that made it meet."""
    return Column("operation_id", OperationId, nullable=False)


def time_column(name: str) -> Column[Any]:
    """Return a timestamp that the database sets to the start of the transaction."""
    return Column(name, Timestamp, nullable=False, server_default=func.now())
