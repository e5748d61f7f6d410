"""PostgreSQL's own way to write a query: as it stands."""

from collections.abc import Mapping
from typing import Final

from integrity.engines.places import DEFAULT_SCHEMA
from integrity.engines.postgresql.answers import HASHED_TYPES, spell
from integrity.engines.scan import Answer
from integrity.sql.file import SqlFile
from integrity.sql.parameters import find_parameters, replace_parameters


class PostgresqlSpelling:
    """See spelling.Spelling."""

    title: Final = "PostgreSQL"
    dialect: Final = "postgres"
    default_schema: Final = DEFAULT_SCHEMA
    overriding: Final = "overriding system value"
    is_typed: Final = True
    folds_quoted_names: Final = False

    def numbered(self, file: SqlFile) -> str:
        return file.numbered

    def adapted(self, text: str, types: Mapping[str, str] = {}) -> str:
        return replace_parameters(text, lambda name: f"cast(:{name} as {types[name]})" if name in types else f":{name}")

    def statement(self, sql: str) -> str:
        return sql

    def marked(self, query: str, types: Mapping[str, str]) -> str:
        marks = {name: self.mark(number, types[name]) for number, name in enumerate(find_parameters(query), start=1)}
        return replace_parameters(query, marks.__getitem__)

    @property
    def hashed_types(self) -> frozenset[str]:
        return HASHED_TYPES

    def answer(self, answer: Answer) -> str:
        return spell(answer)

    def mark(self, number: int, kind: str) -> str:
        return f"${number}::{kind}"


SPELLING: Final = PostgresqlSpelling()
