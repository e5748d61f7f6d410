"""What views are made of: a statement that reads one has read tables that it does not name."""

import re
from collections.abc import Mapping
from functools import lru_cache

from integrity.database.names import find_named, name_of
from integrity.engines.places import DEFAULT_SCHEMA, schema_of
from integrity.systems.reflect import Reflected

_VIEWS = ("view", "materialized view")
_WORD = re.compile(r'(?:(?:"(?:[^"]|"")+"|\w+)\.)?(?:"(?:[^"]|"")+"|\w+)')


@lru_cache(maxsize=8)
def tables_of_views(tables: Reflected) -> Mapping[str, frozenset[str]]:
    """Return view -> the tables that its definition names, itself or by another view; both as name_of calls tables."""
    if tables.catalogue is None:
        return {}
    known = {f"{schema_of(table)}.{table.name}": frozenset({name_of(table)}) for table in tables.tables.values()}
    views = [each for each in tables.catalogue.definitions if each.kind in _VIEWS]
    found: dict[str, frozenset[str]] = {}
    for _ in views:  # one that names another stands behind it or before it
        for view in views:
            words = {word for text in view.statements for word in _WORD.findall(text)}
            spelled = {each for word in words for each in (word, f"{view.schema or DEFAULT_SCHEMA}.{word}")}
            named = [match for word in spelled if (match := find_named(known, word)) is not None]
            own = f"{view.schema or DEFAULT_SCHEMA}.{view.name}"
            found[view.name] = frozenset[str]().union(*(read for name, read in named if name != own))
            known[own] = found[view.name]
    return found
