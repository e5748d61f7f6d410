"""What an audit asks of SQLite means what PostgreSQL means by it."""

import sqlite3
from contextlib import closing

import pytest

from integrity.engines.sqlite.portable import to_sqlite
from integrity.engines.target import Target

DOCUMENTS = (
    '{"value": 5}',
    '{"value": -12345678901}',
    '{"value": "5"}',
    '{"value": "a \\"quoted\\" text"}',
    '{"value": ""}',
    '{"value": true}',
    '{"value": false}',
    '{"value": null}',
    "{}",
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_value_of_a_json_document_is_the_same_text_on_both_engines(document: str, database: Target) -> None:
    text = "select documents.payload ->> 'value' as value from main.documents"
    with closing(database.connect()) as connection:
        connection.execute("create schema main")
        connection.execute("create table main.documents (payload jsonb)")
        connection.execute("insert into main.documents values (%s)", (document,))
        expected = connection.execute(text.encode()).fetchall()
    with closing(sqlite3.connect(":memory:")) as sqlite_connection:
        sqlite_connection.execute("create table documents (payload text)")
        sqlite_connection.execute("insert into documents values (?)", (document,))
        assert sqlite_connection.execute(to_sqlite(text)).fetchall() == expected
