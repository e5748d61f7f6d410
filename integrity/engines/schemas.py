"""What an engine calls a schema: all but the default one have one name on every engine."""

from integrity.engines.known import find_engine
from integrity.engines.places import DEFAULT_SCHEMA


def schema_in(dialect: str, schema: str) -> str:
    """Return what the engine calls a schema.

    Args:
        dialect: as Target.dialect names it.
    """
    return find_engine(dialect).default_schema if schema == DEFAULT_SCHEMA else schema


def schema_from(dialect: str, schema: str) -> str:
    """Return the schema that the engine calls so."""
    return DEFAULT_SCHEMA if schema == find_engine(dialect).default_schema else schema
