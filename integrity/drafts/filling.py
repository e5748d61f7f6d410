"""Finds what a template's words stand for in a database: by kinds of columns, foreign keys and, among those, names.

Every way to fill the words is weighed; the best is taken if it is alone, else asked for. What is given is not weighed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache

from integrity.drafts.found import FoundTable, Holds, Reference, named_table
from integrity.drafts.template import ColumnWord, ReferenceWord, TableWord, Template, ValuesWord, Word
from integrity.errors import UsageError, quote
from integrity.numbers import counted
from integrity.suggestion import suggest

GUESSED = 0.5
"""The weight of a reference that no foreign key declares."""


@dataclass(frozen=True, slots=True)
class Filling:
    """What words stand for.

    Args:
        tables: word -> table.
        columns: word -> columns; of an optional word that nothing fits none.
        joins: the word of a reference -> it.
        values: word -> texts.
        used: tables' places and the columns that words stand for.
        weight: how well it fits.
        is_sure: whatever was not given has a name that fits.
    """

    tables: Mapping[str, FoundTable] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    joins: Mapping[str, Reference] = field(default_factory=dict)
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    used: frozenset[tuple[tuple[str, str], str]] = frozenset()
    weight: float = 0
    is_sure: bool = True

    def told(self, word: Word) -> str:
        """Return what a word stands for, as an option gives it."""
        match word:
            case TableWord():
                return self.tables[word.name].words
            case ReferenceWord():
                return ",".join(self.joins[word.name].columns)
            case ColumnWord():
                return ",".join(self.columns[word.name])
            case ValuesWord():
                return ",".join(self.values[word.name])

    def told_column(self, word: str) -> str:
        """Return the column that a word of the table stands for, with its table."""
        return f"{self.tables['table'].words}.{self.columns[word][0]}"


@dataclass(frozen=True, slots=True)
class _Known:
    """Tables, with which may refer to which: of a thousand not each is tried with each.

    Args:
        children, parents: a table's place -> those that may refer to it, and those that it may refer to.
        called: a name, or the end of one behind a `_` -> the tables that are called so.
    """

    tables: Sequence[FoundTable]
    children: Mapping[tuple[str, str], Sequence[FoundTable]]
    parents: Mapping[tuple[str, str], Sequence[FoundTable]]
    called: Mapping[str, Sequence[FoundTable]]


def _know(tables: Sequence[FoundTable]) -> _Known:
    places = {table.place: table for table in tables}
    called: dict[str, list[FoundTable]] = {}
    for table in tables:
        parts = _snake(table.name).split("_")
        for number in range(len(parts)):
            called.setdefault("_".join(parts[number:]), []).append(table)
    children: dict[tuple[str, str], list[FoundTable]] = {table.place: [] for table in tables}
    parents: dict[tuple[str, str], list[FoundTable]] = {}
    for table in tables:
        found = [places[each.table] for each in table.references if each.table in places]
        found += [other for column in table.columns for form in _forms(column) for other in called.get(form, ())]
        parents[table.place] = list({other.place: other for other in found if other.place != table.place}.values())
        for other in parents[table.place]:
            children[other.place].append(table)
    return _Known(tables, children, parents, called)


def find_likely(template: Template, tables: Sequence[FoundTable]) -> list[Filling]:
    """Return the ways to fill a template of which every part has a name that fits, the best first."""
    return sorted(_likely(template, tables, {}), key=lambda filling: -filling.weight)


def fill(template: Template, tables: Sequence[FoundTable], given: Mapping[str, str]) -> Filling:
    """Return what a template's words stand for.

    Args:
        given: word -> what somebody says that it stands for, several columns or values with commas between.

    Raises:
        UsageError: a word is none of the template's, what is given is not there, nothing fits, or more than one thing does.
    """
    words = template.all_words
    for name in given:
        if name not in (word.name for word in words):
            listed = f"The words of {template.name} are: {', '.join(word.name for word in words)}."
            raise UsageError(f"--set {name}: no word of {template.name}", hint=suggest(name, (), always=listed))
    if "table" not in given and len(tables) > 1:
        return _only(template, words, _likely(template, tables, given), tables)
    return _only(template, words, list(_fill(words, _know(tables), given, Filling())), tables, given)


def _likely(template: Template, tables: Sequence[FoundTable], given: Mapping[str, str]) -> list[Filling]:
    return list(_fill(template.all_words, _know(tables), given, Filling(), is_sure=True))


def _only(
    template: Template,
    words: Sequence[Word],
    found: Sequence[Filling],
    tables: Sequence[FoundTable],
    given: Mapping[str, str] | None = None,
) -> Filling:
    """Return the best one, if there is one and it is alone."""
    if not found:
        raise _nothing_fits(template, words, tables, given or {})
    most = max(filling.weight for filling in found)
    best = [filling for filling in found if filling.weight == most]
    if len(best) == 1:
        return best[0]
    word = next(word for word in words if len({filling.told(word) for filling in best}) > 1)
    options = list(dict.fromkeys(filling.told(word) for filling in best))
    where = f" in {best[0].tables['table'].words}" if word.name != "table" else ""
    raise UsageError(
        f"{template.name}: {len(options)} fit the word {word.name}{where} ({word.says}): {', '.join(options[:8])}",
        hint=f"Say which: {_option(word)}{options[0]}",
    )


def _nothing_fits(
    template: Template, words: Sequence[Word], tables: Sequence[FoundTable], given: Mapping[str, str]
) -> UsageError:
    """Return the error for the first word that stops every way to fill them."""
    if "table" not in given and len(tables) != 1:
        listed = ", ".join(table.words for table in tables[:8])
        return UsageError(
            f"{template.name}: of {counted(len(tables), 'table')} none has names that fit",
            hint=f"Say which it is about: --table NAME. There are: {listed}." if tables else "The database holds no table.",
        )
    known, count = _know(tables), 1
    while count < len(words) and any(True for _ in _fill(words[:count], known, given, Filling())):
        count += 1
    word = words[count - 1]
    before = next(_fill(words[: count - 1], known, given, Filling()))
    if isinstance(word, ColumnWord) and word.of in before.tables:
        table = before.tables[word.of]
        where, listed = table.words, f"Its columns are: {', '.join(table.columns)}."
    elif isinstance(word, ValuesWord):
        where, listed = before.told_column(word.of), f"It takes: {', '.join(_labels(word, before))}."
    else:
        table = before.tables["table"]
        where = f"what refers to {table.words}" if isinstance(word, TableWord) and word.refers_to else "the database"
        listed = f"There are: {', '.join(each.words for each in tables[:8])}."
    return UsageError(
        f"{template.name}: nothing in {where} fits the word {word.name}: {word.says}",
        hint=f"Say what it is: {_option(word)}{'VALUE' if isinstance(word, ValuesWord) else 'NAME'}. {listed}",
    )


def _option(word: Word) -> str:
    return "--table " if word.name == "table" else f"--set {word.name}="


def _fill(
    words: Sequence[Word],
    known: _Known,
    given: Mapping[str, str],
    filling: Filling,
    *,
    is_sure: bool = False,
) -> Iterator[Filling]:
    """Yield every way to fill the words; with `is_sure`, those of which every part has a name that fits."""
    if not words:
        yield filling
        return
    for filled in _candidates(words[0], known, given.get(words[0].name), filling):
        if filled.is_sure or not is_sure:  # looked at at once: of a thousand tables each could be tried with each
            yield from _fill(words[1:], known, given, filled, is_sure=is_sure)


def _candidates(word: Word, known: _Known, given: str | None, filling: Filling) -> Iterator[Filling]:
    match word:
        case TableWord():
            yield from _tables(word, known, given, filling)
        case ColumnWord():
            yield from _columns(word, given, filling)
        case ReferenceWord():
            yield from _references(word, given, filling)
        case ValuesWord():
            yield from _values(word, given, filling)


def _values(word: ValuesWord, given: str | None, filling: Filling) -> Iterator[Filling]:
    text = given or _told_by(filling.columns[word.made_from]) if word.made_from else given or word.default
    values = tuple(part.strip() for part in text.split(",") if part.strip())
    labels = _labels(word, filling)
    if labels and given is None:
        values = tuple(value for value in values if value in labels)
    for value in values:
        if labels and value not in labels:
            said = f"--set {word.name}: {quote(value)} is nothing that {filling.told_column(word.of)} takes"
            raise UsageError(said, hint=suggest(value, labels, always=f"It takes: {', '.join(labels)}."))
    if values:
        yield replace(filling, values={**filling.values, word.name: values})


def _labels(word: ValuesWord, filling: Filling) -> tuple[str, ...]:
    """Return the words that the column takes whose values they are; empty: any."""
    return filling.tables["table"].labels.get(filling.columns[word.of][0], ())


def _tables(word: TableWord, known: _Known, given: str | None, filling: Filling) -> Iterator[Filling]:
    if given is not None:
        table = named_table(known.tables, given, place="--table" if word.name == "table" else f"--set {word.name}")
        yield replace(filling, tables={**filling.tables, word.name: table})
        return
    for table in _possible(word, known, filling):
        weight = _weight(table.name, word.names) if word.names else GUESSED
        if word.referred_by:
            weight = 1.0 if _references_to(filling.tables[word.referred_by], table) else -1
        elif word.refers_to and not _references_to(table, filling.tables[word.refers_to]):
            weight = -1
        elif word.named_by:
            weight = 1.0
        if weight >= 0:
            yield _weighed(replace(filling, tables={**filling.tables, word.name: table}), weight)


def _possible(word: TableWord, known: _Known, filling: Filling) -> Sequence[FoundTable]:
    """Return the tables among which a word's is: at least all those that it can be."""
    if word.referred_by:
        return known.parents[filling.tables[word.referred_by].place]
    if word.refers_to:
        return known.children[filling.tables[word.refers_to].place]
    if word.named_by:
        forms = [form for column in filling.columns[word.named_by] for form in _forms(column)]
        return list({table.place: table for form in forms for table in known.called.get(form, ())}.values())
    return known.tables


def _columns(word: ColumnWord, given: str | None, filling: Filling) -> Iterator[Filling]:
    table = filling.tables[word.of]
    if given is not None:
        named = tuple(part.strip() for part in given.split(","))
        for name in named:
            if name not in table.columns:
                hint = suggest(name, table.columns, always=f"Its columns are: {', '.join(table.columns)}.")
                raise UsageError(f"--set {word.name}: {table.words} has no column {quote(name)}", hint=hint)
        if not word.least and len(named) > 1:
            raise UsageError(f"--set {word.name}: it is one column, not {len(named)}", hint=f"It is {word.says}.")
        yield _with_columns(filling, word.name, table, named)
        return
    free = [
        name
        for name, holds in table.columns.items()
        if word.holds in (None, holds)
        and (table.place, name) not in filling.used
        and not (word.holds is Holds.NUMBERS and (name in table.key or name in table.referring or _is_reference(name)))
        and not (word.is_whole and _LEFT.search(_snake(name)))
    ]
    weights = {name: _weight(name, word.names) for name in free}
    if word.least:
        named = tuple(name for name in free if weights[name])
        if len(named) >= word.least:
            yield _weighed(_with_columns(filling, word.name, table, named), 1)
        return
    most = max(weights.values(), default=0)
    if not most and word.is_optional:
        yield _with_columns(filling, word.name, table, ())
        return
    if not most and word.names:  # no name speaks for any: of one that is the only one of its kind it is asked, too
        return
    for name in free:
        if weights[name] == most:
            yield _weighed(_with_columns(filling, word.name, table, (name,)), most)


def _references(word: ReferenceWord, given: str | None, filling: Filling) -> Iterator[Filling]:
    child, parent = filling.tables[word.of], filling.tables[word.to]
    if given is not None:
        columns = tuple(part.strip() for part in given.split(","))
        for name in columns:
            if name not in child.columns:
                hint = suggest(name, child.columns, always=f"Its columns are: {', '.join(child.columns)}.")
                raise UsageError(f"--set {word.name}: {child.words} has no column {quote(name)}", hint=hint)
        if len(columns) != len(parent.key):
            raise UsageError(
                f"--set {word.name}: the key of {parent.words} has {len(parent.key)} columns, not {len(columns)}",
                hint=f"They are: {', '.join(parent.key) or 'none'}.",
            )
        named = Reference(columns, parent.place, parent.key)
        yield replace(_with_columns(filling, word.name, child, columns), joins={**filling.joins, word.name: named})
        return
    for reference, weight in _references_to(child, parent):
        filled = _with_columns(filling, word.name, child, reference.columns)
        yield _weighed(replace(filled, joins={**filling.joins, word.name: reference}), weight)


def _with_columns(filling: Filling, word: str, table: FoundTable, columns: tuple[str, ...]) -> Filling:
    used = filling.used | {(table.place, column) for column in columns}
    return replace(filling, columns={**filling.columns, word: columns}, used=used)


def _weighed(filling: Filling, weight: float) -> Filling:
    return replace(filling, weight=filling.weight + weight, is_sure=filling.is_sure and weight > 0)


def _references_to(child: FoundTable, parent: FoundTable) -> list[tuple[Reference, float]]:
    """Return how a table refers to another: by foreign keys; without one, by columns of the right names."""
    declared = [(reference, 1.0) for reference in child.references if reference.table == parent.place]
    if declared or len(parent.key) != 1:
        return declared
    return [
        (Reference((column,), parent.place, parent.key), GUESSED)
        for column in child.columns
        if column not in child.key and column not in child.referring and _names(column, parent.name)
    ]


@lru_cache(maxsize=100_000)
def _weight(name: str, patterns: tuple[str, ...]) -> float:
    """Return how well a name fits: more than 1 for the first pattern, less for the later ones, 0 for none."""
    spelled = _snake(name)
    for number, pattern in enumerate(patterns):
        if fnmatchcase(spelled, pattern):
            return 1 + (len(patterns) - number) / len(patterns)
    return 0


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


_LEFT = re.compile(r"(?:^|_)(?:left|remain\w*|rest|available|free|unused|unsold|open)(?:_|$)")
_ID = re.compile(r"_(?:id|uuid|no|key|ref)$")


def _is_reference(name: str) -> bool:
    return bool(_ID.search(_snake(name)))


def _names(column: str, table: str) -> bool:
    """Whether a column's name tells a table: wallet_id, walletId of wallets; entry_id of journal_entries."""
    forms = _forms(column)
    named = _lower(table)
    return named.endswith(forms) and (named in forms or named.endswith(tuple(f"_{form}" for form in forms)))


@lru_cache(maxsize=100_000)
def _forms(column: str) -> tuple[str, ...]:
    """Return what a table can be called that a column refers to; nothing of one that is called like none of those."""
    stem = _ID.sub("", _snake(column))
    return () if stem == _snake(column) else (stem, f"{stem}s", f"{stem}es", re.sub("y$", "ies", stem))


_lower = lru_cache(maxsize=100_000)(_snake)


def _told_by(columns: Sequence[str]) -> str:
    return re.sub(r"_(?:at|on|date|time)$", "", _snake(columns[0])) if columns else ""
