"""Reach: which queries could do more than read.

A read-only transaction stops writes to tables. It does not stop a function that ends another session, keeps a replication
slot, writes through a second connection or reads a file. So every function that a query could call is asked of the server:
each name before a parenthesis, each operator, each cast, in the search path that holds for the query, all overloads; and
what those call in turn, through views, functions in SQL, aggregates, operators, defaults of arguments, checks of domains.
What cannot be read (PL/pgSQL, C) counts by what it declares: `volatile`, which is what a function is unless it says
otherwise, may do anything. PostgreSQL's own are in lists that were reviewed (harmless_functions.py).

A cast of one's own can be called without being named: by an argument, a concatenation, by `to_json`. So it is among what a
query calls where its type could be in play: the query names it, or a table, a function or an operator that has it in them.

The names of all queries are asked together, so an audit pays two questions whatever its size; more only where a view or a
function in SQL has to be read.

Not looked at: input and output functions of types and operator classes, which only a superuser can make; what a foreign
table does on its own server; policies of row security, which do not run in an audit (`row_security` is off); defaults and
generated columns, which do not run in a select.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from integrity.engines.postgresql.harmless_functions import (
    CONVERTERS,
    HARMLESS_OF_EXTENSIONS,
    REFUSED_OF_EXTENSIONS,
    STABLE_AND_NOT_HARMLESS,
    VOLATILE_AND_HARMLESS,
)
from integrity.engines.postgresql.mentions import Mention, TokenUse, mentions_in, naming_tokens
from integrity.engines.postgresql.reach_questions import BODIES, MEANT
from integrity.engines.snapshot import QueryFailed, Reader
from integrity.errors import describe_unexpected
from integrity.sql.tokens import TokenKind

DEPTH_MOST = 50
_READS = ("select", "with", "values", "table", "create", "end")
"""What a statement of a function in SQL begins with; the last two: of its whole definition, with `begin atomic`."""

# What a query can call without naming it: in, between, like, similar to, nullif, case, distinct, order by, using.
_IMPLICIT = frozenset(
    Mention(TokenUse.OPERATOR, "", name)
    for name in ("=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~", "!~")
)

# What neither casts a value to another type nor calls what could, and stands before a parenthesis as often as all else.
_CASTLESS_WORDS = """
    abs all and any as array avg between bool_and bool_or by case coalesce count distinct else except exists extract filter
    from greatest group having in intersect is join lateral least length like limit lower materialized max min not now
    nullif offset on or order over partition position recursive round row_number select some sum then trim union upper
    using values when where with
"""
_CASTLESS = frozenset(_CASTLESS_WORDS.split())
_PLAIN_OPERATORS = frozenset(("=", "<>", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "%"))
OWN_FROM = 16384
"""The first oid that is not PostgreSQL's own."""

Node = tuple[str, int]  # ("function" | "view" | "domain", oid)


@dataclass(slots=True)
class _Known:
    """What the server has said."""

    meant: dict[Mention, set[Node]] = field(default_factory=dict)
    casts: dict[Mention, set[Node]] = field(default_factory=dict)  # those that have to be asked for
    callees: dict[Node, set[Node]] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)
    refused: dict[Node, str] = field(default_factory=dict)


def find_refusals(session: Reader, texts: Mapping[str, str], trusted: Collection[str]) -> dict[str, str]:
    """Return name -> why, of the texts that could do more than read.

    A text that cannot be looked into is among them, and takes none of the others with it.

    Args:
        texts: name -> SQL, as it is sent.
        trusted: functions, as "schema.name", that may be called all the same.

    Raises:
        QueryFailed: the snapshot was lost.
    """
    try:
        return _find_refusals(session, texts, trusted)
    except QueryFailed as failed:
        if failed.is_snapshot_lost:
            raise
        reason, is_of_one = failed.reason, failed.is_unfit
    except Exception as error:
        reason, is_of_one = describe_unexpected(error), True
    if is_of_one and len(texts) > 1:  # the others are asked without it
        ordered = list(texts.items())
        half = len(ordered) // 2
        return find_refusals(session, dict(ordered[:half]), trusted) | find_refusals(session, dict(ordered[half:]), trusted)
    return dict.fromkeys(texts, f"not asked, as what it calls cannot be looked up: {reason}")


def _find_refusals(session: Reader, texts: Mapping[str, str], trusted: Collection[str]) -> dict[str, str]:
    known = _Known()
    mentioned = {name: mentions_in(text) | _IMPLICIT for name, text in texts.items()}
    fresh = _resolve(session, known, frozenset().union(*mentioned.values()) if mentioned else frozenset())
    for _ in range(DEPTH_MOST):
        if not fresh:
            break
        fresh = _read(session, known, fresh, trusted)
    for node in fresh:  # deeper than anybody builds
        known.refused[node] = f"the calls of {known.names.get(node, node[0])} go more than {DEPTH_MOST} deep"
    return {
        name: reason
        for name, mentions in mentioned.items()
        if (reason := _find_refused(known, _nodes_of(known, mentions, can_cast=_can_cast(texts[name]))))
    }


def _nodes_of(known: _Known, mentions: Collection[Mention], *, can_cast: bool) -> set[Node]:
    """Return what the mentions of one text mean."""
    nodes = set().union(*(known.meant.get(mention, ()) for mention in mentions))
    if can_cast or any(kind == "function" and oid >= OWN_FROM for kind, oid in nodes):  # one for any type can cast it
        return nodes.union(*(known.casts.get(mention, ()) for mention in mentions))
    return nodes


def _can_cast(text: str) -> bool:
    """Whether the text may call a cast that has to be asked for: by `::` or `cast (`, or by what casts the values it gets.

    `'a' || mood`, to_json(mood) and quote_literal(mood) do.
    """
    return any(
        (one.is_sign(":") and other.is_sign(":"))
        or (one.kind is TokenKind.OPERATOR and one.text not in _PLAIN_OPERATORS)
        or (one.is_name and other.is_sign("(") and one.text not in _CASTLESS)
        for one, other in pairwise(naming_tokens(text))
    )


def _find_refused(known: _Known, nodes: set[Node]) -> str:
    """Return why something that can be reached from these is refused; empty: nothing is."""
    waiting: list[tuple[Node, tuple[Node, ...]]] = [(node, ()) for node in sorted(nodes)]
    seen = set(nodes)
    while waiting:
        node, path = waiting.pop(0)
        if node in known.refused:
            through = "".join(f"{known.names[other]}, which calls " for other in path)
            return f"it calls {through}{known.refused[node]}"
        for callee in sorted(known.callees.get(node, set()) - seen):
            seen.add(callee)
            waiting.append((callee, (*path, node)))
    return ""


def _resolve(session: Reader, known: _Known, mentions: frozenset[Mention], schemas: Collection[str] = ()) -> set[Node]:
    """Ask what the mentions mean; return what was not known before and has to be looked into."""
    ordered = sorted(mentions, key=lambda mention: (mention.use.value, mention.schema, mention.name))
    asked = [
        {"number": number, "use": mention.use.value, "schema": mention.schema, "name": mention.name}
        for number, mention in enumerate(ordered)
    ]
    suspects = sorted(STABLE_AND_NOT_HARMLESS | CONVERTERS)
    fresh = set()
    for row in session.read(MEANT, [json.dumps(asked), json.dumps(suspects), json.dumps(sorted(schemas))], is_own=True):
        node = (str(row["kind"]), int(row["oid"]))
        meant = known.casts if row["has_to_be_asked_for"] else known.meant
        meant.setdefault(ordered[int(row["number"])], set()).add(node)
        fresh.add(node)
    return fresh - known.callees.keys()


def _read(session: Reader, known: _Known, nodes: set[Node], trusted: Collection[str]) -> set[Node]:
    """Look into functions, views and domains; return what they call that has to be looked into next."""
    fresh: set[Node] = set()
    asked = [{"kind": kind, "oid": str(oid)} for kind, oid in sorted(nodes)]
    try:
        suspects = [json.dumps(sorted(names)) for names in (STABLE_AND_NOT_HARMLESS | CONVERTERS, CONVERTERS)]
        rows = session.read(BODIES, [json.dumps(asked), *suspects], is_own=True)
    except QueryFailed as failed:  # what calls none of them can be asked all the same
        if failed.is_snapshot_lost:
            raise
        known.callees |= {node: set() for node in nodes}
        known.refused |= {node: f"a {node[0]} that cannot be looked into: {failed.reason}" for node in nodes}
        return fresh
    for row in rows:
        node = (str(row["kind"]), int(row["oid"]))
        known.names[node] = f"{row['kind'] + ' ' if row['kind'] != 'function' else ''}{row['schema']}.{row['name']}"
        known.callees[node] = set()
        is_function = node[0] == "function"
        if is_function and f"{row['schema']}.{row['name']}" in trusted:
            continue
        if row["is_held"]:
            known.refused[node] = f"{known.names[node]}, which cannot be looked into: another session locks what it reads"
            continue
        body = _body_to_follow(row) if is_function else row["body"]
        if is_function and body is None and (reason := _why_refused(row)):
            known.refused[node] = reason
            continue
        mentions = _mentions_of(row, body)
        schemas = re.findall(r'[^\s,"]+', row["path"] or "")
        if mentions:
            fresh |= _resolve(session, known, mentions, schemas)
        known.callees[node] = _nodes_of(known, mentions, can_cast=row["can_cast"] or _can_cast(body or ""))
        called = {(str(kind), int(oid)) for kind, oid in (pair.split(":") for pair in (row["depends"] or "").split())}
        known.callees[node] |= called
        fresh |= called - known.callees.keys()
    for node in nodes - known.callees.keys():  # dropped since, or somebody else's rights
        known.callees[node] = set()
    return {node for node in fresh if node not in known.callees}


def _mentions_of(row: Mapping[str, Any], body: str | None) -> frozenset[Mention]:
    """Return what a function, view or domain mentions, itself among it: what types it takes are in play in it.

    In a function the names of its arguments stand for values of any kind.
    """
    schema, name = str(row["schema"]), str(row["name"])
    defaults = mentions_in(str(row["defaults"] or ""))
    if row["kind"] == "function" and body is None:
        return defaults
    written = mentions_in(body or "") | defaults
    named = {Mention(TokenUse.NAME, of, each) for of, each, _ in row["named"] or () if row["can_cast"]}
    named |= {Mention(TokenUse.TYPE, of, each) for of, each, is_type in row["named"] or () if is_type}
    own = Mention(TokenUse.CALL if row["kind"] == "function" else TokenUse.NAME, schema, name)
    fields = {Mention(TokenUse.FIELD, "", mention.name) for mention in written if mention.use is TokenUse.ATTRIBUTE}
    return frozenset(written | named | fields | {own})


def _body_to_follow(row: Mapping[str, Any]) -> str | None:
    """Return the SQL that a function consists of; None: it cannot be read, and what is said of it counts."""
    if row["is_builtin"] or row["extension"]:
        return None
    if row["prokind"] == "a":
        return ""  # its parts are among what it depends on
    if row["language"] != "sql":
        return None
    body = str(row["body"] or "")
    is_first = True
    for token in naming_tokens(body):
        if is_first and not token.is_sign("("):
            if not token.is_name or token.text not in _READS:
                return None  # notify, lock, do, ...
            is_first = False
        if token.is_sign(";"):
            is_first = True
    return body


def _why_refused(row: Mapping[str, Any]) -> str:
    """Return why a function that is not followed may not be called; empty: it may."""
    schema, name, extension = str(row["schema"]), str(row["name"]), str(row["extension"] or "")
    full, is_volatile = f"{schema}.{name}", row["volatility"] == "v"
    trust = f'trust it: `[audit] functions = ["{full}"]` in integrity.toml'
    if row["is_builtin"]:
        is_suspect, is_harmless = name in STABLE_AND_NOT_HARMLESS, name in VOLATILE_AND_HARMLESS
    else:
        is_suspect = not REFUSED_OF_EXTENSIONS.isdisjoint({(extension, name), (extension, "")})
        is_harmless = (extension, name) in HARMLESS_OF_EXTENSIONS
    if is_harmless or not (is_volatile or is_suspect):
        return ""
    if row["is_builtin"] or is_suspect:
        return f"{full}, which does more than read: leave it out, or {trust}"
    signature = f"{full}({row['arguments']})"
    return (
        f"{full}, which is volatile: it may do more than read. If it only reads, say so: "
        f"`alter function {signature} stable`, or {trust}"
    )
