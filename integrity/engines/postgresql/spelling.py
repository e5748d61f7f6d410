"""PostgreSQL's own way to write a query: as it stands."""

from typing import Final

from integrity.sqlfile import SqlFile


class PostgresqlSpelling:
    """See spelling.Spelling."""

    title: Final = "PostgreSQL"
    dialect: Final = "postgres"
    is_typed: Final = True
    folds_quoted_names: Final = False

    def numbered(self, file: SqlFile) -> str:
        return file.numbered

    def adapted(self, text: str) -> str:
        return text

    def mark(self, number: int, kind: str) -> str:
        return f"${number}::{kind}"


SPELLING: Final = PostgresqlSpelling()
