"""Labels: the words that a column takes, where its type is an enum, or a check or its domain lists them."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from integrity.sql.name import quoted

if TYPE_CHECKING:
    from sqlalchemy import Column

    from integrity.systems.reflect import Reflected

_TEXT = r"(?:'(?:[^']|'')*')"
_CAST = r"(?:::[\w ]+(?:\(\d+\))?(?:\[\])?)?"
_LISTED = rf"{_TEXT}{_CAST}(?:\s*,\s*{_TEXT}{_CAST})*"


def labels_of(column: "Column[Any]", tables: "Reflected") -> tuple[str, ...]:
    """Return the words that a column takes; empty: nothing says which."""
    from sqlalchemy import CheckConstraint, Enum, String
    from sqlalchemy.dialects.postgresql import DOMAIN

    kind: Any = column.type
    checks: list[tuple[str, str]] = []
    while isinstance(kind, DOMAIN):
        domain = tables.catalogue.domains.get((kind.schema or "public", str(kind.name))) if tables.catalogue else None
        checks += [(check, "VALUE") for check in (domain.checks if domain else ())]
        kind = kind.data_type
    if isinstance(kind, Enum):
        return tuple(map(str, kind.enums))
    if not isinstance(kind, String):
        return ()
    own = [each for each in column.table.constraints if isinstance(each, CheckConstraint)]
    checks += [(str(each.sqltext), column.name) for each in own]
    return next((found for check, name in checks if (found := tuple(_listed(check, name)))), ())


def _listed(check: str, name: str) -> Iterator[str]:
    """Yield the words of a check that is nothing but a list of them; of any other nothing."""
    spelled = "|".join(map(re.escape, dict.fromkeys((name, quoted(name), f'"{name}"', f"`{name}`", f"[{name}]"))))
    bare = re.sub(r"\barray\s*\[(.*?)\]", r"\1", check, flags=re.IGNORECASE | re.DOTALL)
    names = rf"[(\s]*(?:{spelled})\s*\)?{_CAST}"
    listed = rf"[\s(]*(?P<texts>{_LISTED})[)\s]*(?:::[\w ]+\[\][)\s]*)?"
    match = re.fullmatch(rf"{names}\s*(?:in|=\s*any){listed}", bare, re.IGNORECASE)
    for text in re.findall(_TEXT, match["texts"]) if match else ():
        yield text[1:-1].replace("''", "'")
