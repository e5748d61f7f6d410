"""The invariants about calls, made of the one line in which an operation's file says where its row is stored.

    -- stores: payments.idempotency_key = :key at created_at

Which rows are a call's is told by the call alone: its argument, its operation_id, or what its reply said. A value that rows
may have had before, such as a key of a table, tells only that the row is there; one that is new with the call tells, too,
that there is one of it, and that none is left of a call that failed. When a row was made is what `at` says: without it
nobody can tell whether a run made it, and whether somebody asked for it is not asked; nor is it where another operation
makes rows of that table, and does not say which. A place is the table's and the column's, whichever operations store
there: a row is of any of their calls that was told so, and a call that failed beside such a one has left nothing.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from integrity.errors import SqlFileError
from integrity.invariants.effects.declaration import FAMILIES, Declaration, Use
from integrity.invariants.effects.rendering import render_invariant
from integrity.invariants.effects.written import Written
from integrity.project import is_of_operation
from integrity.sql.file import SqlFile, parse_sql_file, read_text
from integrity.sql.header import TextFault
from integrity.sql.name import literal, quoted
from integrity.systems.script.domains import TABLE, plain_name
from integrity.systems.script.header import OperationHeader, Stores, read_operation_header
from integrity.systems.script.marks import is_new
from integrity.systems.script.playing import OPERATION_ID

SUBJECT = "stored_value"
_INSERT = re.compile(rf"\b(?:insert|merge)\s+into\s+({TABLE})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What one operation stores.

    Args:
        is_new: no row had the value before the call.
    """

    operation: str
    stores: Stores
    is_new: bool

    @property
    def key(self) -> str:
        return f"stores in line {self.stores.line} of {self.operation}.sql"

    @property
    def column(self) -> str:
        """The column that tells, as text."""
        return f"cast({quoted(plain_name(self.stores.table))}.{self.stores.column} as text)"

    def value(self, calls: str) -> str:
        """Return what it is equal to, of a call."""
        if self.stores.reply:
            return f"{calls}.reply ->> {literal(self.stores.reply)}"
        if self.stores.argument == OPERATION_ID:
            return f"cast({calls}.{OPERATION_ID} as text)"
        return f"{calls}.arguments ->> {literal(self.stores.argument)}"

    @property
    def table(self) -> Written:
        return Written(self.stores.table, 0, self.key, plain_name(self.stores.table))

    def written(self, text: str) -> Written:
        return Written(text, 0, self.key)


@dataclass(slots=True)
class _Declared:
    """What a system's operations store, and how to make an invariant of it.

    Args:
        writers: the operations that insert into a table, by its plain name, as far as their texts tell.
    """

    system: str
    stored: list[_Stored] = field(default_factory=list)
    writers: dict[str, set[str]] = field(default_factory=dict)

    def families(self) -> dict[str, Sequence[Use]]:
        by_new = [each for each in self.stored if each.is_new]
        uses = {
            "stored": [self._place(each) for each in self.stored],
            "once": [self._once(each) for each in _by_place(by_new).values()],
            "failed": [self._failed(each) for each in _by_place([one for one in by_new if not one.stores.reply]).values()],
            "asked": list(self._made([each for each in by_new if each.stores.made_at])),
        }
        return {family: found for family, found in uses.items() if found}

    def _place(self, each: _Stored) -> Use:
        """Return where a call's row is looked for."""
        found_by = each.written(f"{each.column} = {each.value('calls')}")
        alias = quoted(each.table.column)
        return Use(each.table, alias, {}, join=(), where=(), by=(each.operation,), found_by=(found_by,))

    def _once(self, stored: Sequence[_Stored]) -> Use:
        """Return the rows of a place with the calls whose they are.

        Each operation that may have stored the value there has a row of its own: those of the others are left out, and
        which of the rows they are is all the same where they are counted.
        """
        each, operation_id = stored[0], "asked.operation_id"
        joined = f"({self._calls(stored)}) as asked on asked.stored_value = {each.column}"
        same = self._same(each)
        if len({one.operation for one in same}) > 1:
            joined += (
                " left join (select storing.stored_value, count(distinct storing.operation) - 1 as other_count"
                f" from ({self._calls(same, is_standing=True)}) as storing group by storing.stored_value) as others"
                " on others.stored_value = asked.stored_value"
            )
            number = "row_number() over (partition by asked.operation_id)"
            operation_id = f"case when {number} > coalesce(others.other_count, 0) then asked.operation_id end"
        return self._use(each, join=joined, operation_id=operation_id)

    def _failed(self, stored: Sequence[_Stored]) -> Use:
        """Return the rows of a place with the calls whose they would be: no other call, of any operation, may be it."""
        each = stored[0]
        storing = self._calls(self._same(each), is_standing=True)
        calls = (
            f"select asking.operation_id, asking.stored_value from ({self._calls(stored)}) as asking"
            f" left join ({storing}) as storing on storing.stored_value = asking.stored_value"
            " where storing.stored_value is null"
        )
        return self._use(each, join=f"({calls}) as asked on asked.stored_value = {each.column}")

    def _made(self, stored: Sequence[_Stored]) -> Iterator[Use]:
        """Yield the rows of each place with the call that asked for them, if one did.

        Left out is a table that an operation writes which does not say so: its rows are asked for, too.
        """
        for (_, table, _), (each, *_) in _by_place(stored).items():
            same = self._same(each)
            if self.writers.get(table, set()) - {one.operation for one in same}:
                continue
            joined = f"({self._calls(same)}) as asked on asked.stored_value = {each.column}"
            yield self._use(each, join=joined, is_left=True, made_at=each.stores.made_at)

    def _same(self, each: _Stored) -> Sequence[_Stored]:
        """Return what is stored in the same place, by whichever operation."""
        return [one for one in self.stored if one.stores.place == each.stores.place]

    def _use(
        self,
        each: _Stored,
        *,
        join: str,
        operation_id: str = "asked.operation_id",
        is_left: bool = False,
        made_at: str = "",
    ) -> Use:
        alias = quoted(plain_name(each.stores.table))
        columns = {
            "name": each.written(literal(plain_name(each.stores.table))),
            "id": each.written(each.column),
            "subject": each.written(each.column),
            "operation_id": each.written(operation_id),
        }
        columns |= {"made_at": each.written(f"{alias}.{made_at}")} if made_at else {}
        return Use(each.table, alias, columns, join=(each.written(join),), where=(), is_left=is_left)

    def _calls(self, stored: Sequence[_Stored], *, is_standing: bool = False) -> str:
        """Return the query of the calls that asked for such a row, and of the value that it has.

        Args:
            is_standing: those alone that were told of it, or may have made it: what the database refused is out.
        """
        by_value: dict[str, set[str]] = {}
        for each in stored:
            by_value.setdefault(each.value("calls"), set()).add(each.operation)
        relation = f"integrity.{quoted(f'{self.system}_calls')}"
        standing = (
            " and calls.outcome not in ('declined', 'failed') and (calls.outcome <> 'unavailable' or calls.error = '')"
        )
        by_names = {
            value: f"calls.operation in ({', '.join(map(literal, sorted(each)))})" for value, each in by_value.items()
        }
        if len(by_value) > 1 and sum(map(len, by_value.values())) == len({each.operation for each in stored}):
            # each has one value: the history is gone through once
            cases = " ".join(f"when {names} then {value}" for value, names in by_names.items())
            by_names = {f"case {cases} end": f"({' or '.join(by_names.values())})"}
        return " union all ".join(
            f"select calls.operation_id, calls.operation, {value} as stored_value from {relation} as calls"
            f" where {names}{standing if is_standing else ''}"
            for value, names in by_names.items()
        )


def _by_place(stored: Iterable[_Stored]) -> Mapping[tuple[str, str, str], Sequence[_Stored]]:
    found: dict[tuple[str, str, str], list[_Stored]] = {}
    for each in stored:
        found.setdefault(each.stores.place, []).append(each)
    return found


def make_stored(system: str, folder: Path) -> Mapping[str, Callable[[], SqlFile]]:
    """Return, by their names, how to make the invariants about a system's calls; none where no file says what it stores.

    Args:
        folder: of its operations' files; one that cannot be understood stores nothing, and whoever calls it is told why.
    """
    declared = _Declared(system)
    paths = []
    for path, header in _headers(folder):
        for table in _INSERT.findall(read_text(path)):
            declared.writers.setdefault(plain_name(table), set()).add(path.stem)
        declared.stored += [_Stored(path.stem, each, is_new(header, each)) for each in header.stores]
        paths += [path] if header.stores else []
    uses = declared.families() if paths else {}
    declaration = Declaration(system, 0, SUBJECT, headers={}, columns={}, uses=uses)
    names = {family: f"{system}/{FAMILIES[family]}" for family in uses}
    return {name: partial(_make, paths[0], name, declaration, family) for family, name in names.items()}


def find_silent(folder: Path) -> list[str]:
    """Return the operations of a folder whose files do not say what they store."""
    return [path.stem for path, header in _headers(folder) if not header.stores]


def _headers(folder: Path) -> Iterator[tuple[Path, OperationHeader]]:
    for path in filter(is_of_operation, sorted(folder.glob("*"))):
        with suppress(SqlFileError, TextFault):
            yield path, read_operation_header(read_text(path), operation=path.stem, place=str(path))


def _make(path: Path, name: str, declaration: Declaration, family: str) -> SqlFile:
    rendered = render_invariant(declaration, family)
    return replace(parse_sql_file(rendered.text, path=path, name=name, origins=rendered.origins), is_of_calls=True)
