"""Documents: values with members (json, arrays), compared member by member: one that differs by itself hides no other."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

MEMBERS_MOST = 500
"""A larger one is compared as a whole."""

_NUMBER = re.compile(r"\[\d+\]")
_PART = re.compile(r"\.[^.\[]*|\[\d+\]")
_BEGINS = ("{", "[")


@dataclass(frozen=True, slots=True)
class Document:
    """A value, as its members.

    Args:
        members: path and cell, e.g. ".paid.at", "[0].id"; in order of the names.
        value: as people read it.
    """

    members: tuple[tuple[str, Any], ...]
    value: Any = field(compare=False, repr=False)

    def mapped(self, change: Callable[[Any], Any]) -> "Document":
        """Return it with each member's cell changed."""
        return replace(self, members=tuple((path, change(cell)) for path, cell in self.members))

    def unsorted(self) -> "Document":
        """Return it with the elements of its lists in an order that is theirs, wherever they stood; see `settled`."""
        return replace(self, members=settled(self.members))

    def without(self, paths: frozenset[str]) -> "Document":
        """Return it without the members that stand at these paths, whichever place in a list they have."""
        return replace(self, members=tuple(each for each in self.members if general(each[0]) not in paths))

    def difference(self, other: "Document") -> tuple[str, Any, Any]:
        """Return the path of the first member that differs, and both values; None for one that is not there."""
        ours, theirs = dict(self.members), dict(other.members)
        for path in (*ours, *theirs):
            if ours.get(path) != theirs.get(path) or (path in ours) != (path in theirs):
                return path, ours.get(path), theirs.get(path)
        return "", self.value, other.value


def general(path: str) -> str:
    """Return a path without the places in lists: what "items[3].at" is, "items[].at", its neighbours are too."""
    return _NUMBER.sub("[]", path)


def settled(members: Sequence[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    """Return members, elements of lists in the order of what they hold: lists that hold the same come out the same.

    A list in a list keeps its order: it is one of many rows, and its places are columns.
    """
    root: dict[str, Any] = {}
    for path, cell in members:
        node = root
        for part in _PART.findall(path):
            node = node.setdefault(part, {})
        node[""] = cell
    return tuple(_flat("", _settled(root, is_row=False)))


def _settled(node: Mapping[str, Any], *, is_row: bool) -> list[tuple[str, Any]]:
    is_list = all(part.startswith("[") for part in node)
    inner = [(part, each if part == "" else _settled(each, is_row=is_list)) for part, each in node.items()]
    if not is_list or is_row:
        return inner
    held = sorted((each for _, each in inner), key=repr)
    return [(f"[{place}]", each) for place, each in enumerate(held)]


def _flat(path: str, inner: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for part, each in inner:
        if part == "":
            yield path, each
        else:
            yield from _flat(path + part, each)


def make_document(value: Any, cell_of: Callable[[Any], Any]) -> Document | None:
    """Return the document that a value is, a text of json too; None for a value without members.

    Args:
        cell_of: makes the cell of a member.
    """
    read = _read(value) if isinstance(value, str) else value
    if not isinstance(read, Mapping | list | tuple):
        return None
    members = []
    for path, each in _members("", read):
        members.append((path, cell_of(each)))
        if len(members) > MEMBERS_MOST:
            return None
    return Document(tuple(members), value)


def _read(text: str) -> Any:
    if not text.startswith(_BEGINS):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _members(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name in sorted(value, key=str):
            yield from _members(f"{path}.{name}", value[name])
    elif isinstance(value, tuple) and value:
        for place, each in enumerate(value):
            yield from _members(f"{path}.{place}", each)
    elif isinstance(value, list) and value:
        for place, each in enumerate(value):
            yield from _members(f"{path}[{place}]", each)
    elif isinstance(value, Mapping | list | tuple):
        yield path, "(empty object)" if isinstance(value, Mapping) else "(empty list)"
    else:
        yield path, value
