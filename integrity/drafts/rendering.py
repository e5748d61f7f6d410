"""A filled template as the text of an invariant's file.

What a place in braces may say, of a word for

    a table        {table}: its name behind from; {table.key}: the columns of its key, for group by and order by;
                   {table.columns}: the same, a line each, for a select list; {table.words}: its name in prose
    columns        {balance}: with the table's name before it; {balance.name}: without; {balance.words}: in prose;
                   {parts.sum}: of several, their sum, in which null is nothing
    a reference    as columns; {account.join}: what joins the two tables; {account.keys}: the columns there
    values         {values}: as texts, with commas between

Behind a colon stand what is written before and behind the word, `{currency:|,}`, unless nothing stands for it.
"""

from dataclasses import dataclass
from string import Formatter
from typing import Any

from integrity.drafts.filling import Filling
from integrity.drafts.found import FoundTable
from integrity.drafts.template import ColumnWord, ReferenceWord, TableWord, Template, ValuesWord
from integrity.errors import UsageError
from integrity.sql.name import literal, quoted
from integrity.typed import typed

LINE = ",\n    "


@dataclass(frozen=True, slots=True)
class _Said:
    """What is written for a word, with what the template wants around it."""

    text: str

    def __format__(self, around: str) -> str:
        before, _, behind = around.partition("|")
        return f"{before}{self.text}{behind}" if self.text else ""


@dataclass(frozen=True, slots=True)
class _SaidTable(_Said):
    table: FoundTable

    @property
    def key(self) -> _Said:
        return _Said(", ".join(map(self.table.column, self._keys)))

    @property
    def columns(self) -> _Said:
        return _Said(LINE.join(map(self.table.column, self._keys)))

    @property
    def words(self) -> _Said:
        return _Said(_prose(self.table.words))

    @property
    def _keys(self) -> tuple[str, ...]:
        columns = self.table.key or next(iter(self.table.uniques), ())
        if not columns:
            raise UsageError(
                f"{self.table.words} has no primary key, by which a row could be told",
                hint=f"Write the query by hand: {typed(f'new invariant NAME --table {self.table.words}')}",
            )
        return columns


@dataclass(frozen=True, slots=True)
class _SaidColumns(_Said):
    table: FoundTable
    columns: tuple[str, ...]
    join: str = ""
    keys: str = ""
    default: str = ""

    @property
    def name(self) -> _Said:
        return _Said(", ".join(map(quoted, self.columns)))

    @property
    def lines(self) -> _Said:
        return _Said(LINE.join(map(self.table.column, self.columns)))

    @property
    def words(self) -> _Said:
        return _Said(" and ".join(map(_prose, self.columns)))

    @property
    def sum(self) -> _Said:
        return _Said(" + ".join(f"coalesce({self.table.column(column)}, 0)" for column in self.columns))

    @property
    def present(self) -> _Said:
        return _Said(" and ".join(f"{self.table.column(column)} is not null" for column in self.columns))


def render(template: Template, filling: Filling) -> str:
    """Return the file's text.

    Raises:
        UsageError: a table has no key.
    """
    words: dict[str, Any] = {}
    for word in template.all_words:
        match word:
            case TableWord():
                table = filling.tables[word.name]
                words[word.name] = _SaidTable(table.sql, table)
            case ColumnWord() | ReferenceWord():
                words[word.name] = _columns(word, filling)
            case ValuesWord():
                words[word.name] = _Said(", ".join(map(literal, filling.values[word.name])))
    lines = [f"-- title: {_say(template.title, words)}", "-- severity: error"]
    lines += [f"-- {key}: {_say(text, words)}" for key, text in (("why", template.why), ("hint", template.hint)) if text]
    lines += [f"-- parameter: {template.parameter}"] if template.parameter else []
    return "\n".join([*lines, _say(template.query, words).strip(), ""])


def _say(text: str, words: dict[str, Any]) -> str:
    return Formatter().vformat(text, (), words)


def _columns(word: ColumnWord | ReferenceWord, filling: Filling) -> _SaidColumns:
    table, columns = filling.tables[word.of], filling.columns[word.name]
    text = ", ".join(map(table.column, columns))
    if isinstance(word, ColumnWord):
        return _SaidColumns(text, table, columns)
    reference, parent = filling.joins[word.name], filling.tables[word.to]
    pairs = zip(columns, reference.keys, strict=True)
    join = " and ".join(f"{table.column(column)} = {parent.column(key)}" for column, key in pairs)
    return _SaidColumns(text, table, columns, join, ", ".join(map(parent.column, reference.keys)))


def _prose(name: str) -> str:
    """Return a name as a header's line can hold it."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
