"""How a query is written for SQLite (portable.py), whose columns have no types and whose parameters are `?1`."""

from collections.abc import Mapping
from typing import Final

from integrity.engines.places import MAIN
from integrity.engines.scan import Answer, RowCount, count_of
from integrity.engines.spelling import NotPortable
from integrity.engines.sqlite.dialect import adapt
from integrity.engines.sqlite.portable import to_sqlite
from integrity.sql.file import SqlFile


class SqliteSpelling:
    """See spelling.Spelling."""

    title: Final = "SQLite"
    dialect: Final = "sqlite"
    default_schema: Final = MAIN
    overriding: Final = ""
    is_typed: Final = False
    folds_quoted_names: Final = True

    def numbered(self, file: SqlFile) -> str:
        return to_sqlite(file.text)

    def adapted(self, text: str, types: Mapping[str, str] = {}) -> str:
        return to_sqlite(text, keeps_names=True)

    def statement(self, sql: str) -> str:
        return adapt(sql, self.dialect)

    def marked(self, query: str, types: Mapping[str, str]) -> str:
        return to_sqlite(query)

    @property
    def hashed_types(self) -> frozenset[str]:
        return frozenset()

    def answer(self, answer: Answer) -> str:
        if isinstance(answer, RowCount):
            return count_of(answer)
        raise NotPortable("a hash of a key")

    def mark(self, number: int, kind: str) -> str:
        return f"?{number}"


SPELLING: Final = SqliteSpelling()
