"""Names and texts as SQL spells them, on PostgreSQL and on SQLite."""

import re

# What one of the two must quote is quoted for both, as both read it then. SQLAlchemy knows these words, too, and takes
# longer to import than a list of invariants needs; a test compares.
_WORDS = """
add after all alter analyse analyze and any array as asc asymmetric attach authorization autoincrement before begin
between binary both by cascade case cast check collate column commit conflict constraint create cross current_catalog
current_date current_role current_schema current_time current_timestamp current_user database default deferrable
deferred delete desc detach distinct do drop each else end escape except exclusive exists explain fail false fetch for
foreign freeze from full glob grant group having if ignore ilike immediate in index indexed initially inner insert
instead intersect into is isnull join key leading left like limit localtime localtimestamp match natural new not notnull
null of off offset old on only or order outer over overlaps placing plan pragma primary query raise references reindex
rename replace restrict returning right rollback row select session_user set similar some symmetric table temp temporary
then to trailing transaction trigger true union unique update user using vacuum values variadic verbose view virtual
when where window with
"""
_RESERVED = frozenset(_WORDS.split())
_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


def quoted(name: str) -> str:
    """Return the name of a column, table or schema as SQL has it: `userId` must be quoted, `user_id` need not."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return in_quotes(name)


def in_quotes(name: str) -> str:
    """Return the name between quotes, whatever it is."""
    return '"' + name.replace('"', '""') + '"'


def unquoted(name: str) -> str:
    """Return a name as the catalogue has it: without its quotes, if it has any."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.strip()


def parts_of(spelled: str) -> list[tuple[str, bool]]:
    """Return the names that dots join, and of each whether it stands in quotes; these are left out."""
    return [(quotes.replace('""', '"') or bare, bool(quotes)) for quotes, bare in _PART.findall(spelled)]


def literal(text: str) -> str:
    """Return the text as SQL has it, between quotes."""
    return "'" + text.replace("'", "''") + "'"
