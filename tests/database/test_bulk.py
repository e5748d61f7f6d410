"""What is bulk-loaded is what comes back, whatever the values, the nulls and the lengths."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrity.engines import columns
from integrity.engines.columns import ColumnValues
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.known import find_engine
from integrity.engines.postgresql import bulk
from integrity.engines.target import Target

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TABLE = """
    create table loaded.everything (
        place integer, big bigint, small integer, flag boolean, code uuid, label text, note text, at timestamptz,
        document jsonb
    )
"""
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
documents = st.sampled_from(["null", "{}", '{"a": [1, 2]}', '"ü"', '{"名": "☃", "deep": {"x": null}}', "0"])
rows = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.integers(-(2**31), 2**31 - 1),
        st.none() | st.booleans(),
        st.none() | st.uuids(),
        st.none() | st.sampled_from(["", "one", "two", "größer"]),
        st.none() | texts,
        st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001  # hypothesis wants naive
        st.none() | documents,
    ),
    max_size=30,
)


@pytest.fixture(scope="module")
def connection(server: EmbeddedServer) -> "Iterator[psycopg.Connection[Any]]":
    """A connection to a database that this file's tests share; each makes the table anew."""
    with closing(server.target.connect()) as connection:
        connection.execute("create schema loaded")
        yield connection
        connection.execute("drop schema loaded cascade")


def _columns(values: list[tuple[Any, ...]]) -> list[ColumnValues]:
    """Return the rows as columns; under a null stands some value or other."""

    def column(number: int, instead: object) -> tuple[list[Any], Any]:
        return (
            [instead if row[number] is None else row[number] for row in values],
            np.array([row[number] is None for row in values], np.bool_),
        )

    big, small, flag, code = column(0, 7), column(1, 7), column(2, instead=True), column(3, UUID(int=7))
    label, note, at, document = column(4, "one"), column(5, "x"), column(6, EPOCH), column(7, "0")
    known = sorted(set(label[0])) or [""]
    at_us = [(value.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) for value in at[0]]
    return [
        columns.integers("place", np.arange(len(values))),
        columns.bigints("big", np.array(big[0], np.int64), big[1]),
        columns.integers("small", np.array(small[0], np.int64), small[1]),
        columns.booleans("flag", np.array(flag[0], np.bool_), flag[1]),
        columns.uuids("code", np.frombuffer(b"".join(value.bytes for value in code[0]), "V16"), code[1]),
        columns.labels("label", known, np.array([known.index(value) for value in label[0]], np.int64), label[1]),
        columns.texts("note", note[0], note[1]),
        columns.timestamps("at", np.array(at_us, np.int64), at[1]),
        columns.documents("document", document[0], document[1]),
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=rows, layouts_at_once=st.sampled_from([0, 64]))
def test_postgresql_gives_back_what_was_loaded(
    connection: "psycopg.Connection[Any]", values: list[tuple[Any, ...]], layouts_at_once: int
) -> None:
    """Whether the rows of each layout are encoded by themselves, or all at once and then cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "LAYOUTS_AT_ONCE", layouts_at_once)
        _load_and_compare(connection, values)


def _load_and_compare(connection: "psycopg.Connection[Any]", values: list[tuple[Any, ...]]) -> None:
    connection.execute("drop table if exists loaded.everything")
    connection.execute(TABLE)

    count = find_engine("postgresql").load(connection, "loaded", "everything", _columns(values), is_new=False)
    assert count == len(values)

    # The document as the server writes it, so that a wrong byte inside it shows.
    found = connection.execute(
        "select big, small, flag, code, label, note, at, document::text from loaded.everything order by place"
    ).fetchall()
    sent = [(*row[:6], None if row[6] is None else row[6].replace(tzinfo=UTC), row[7]) for row in values]
    assert found == sent


def test_sqlite_gives_back_what_was_loaded_in_its_own_spelling(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    code = UUID("0190b1c2-0000-7000-8000-00000000002a")
    values: list[tuple[Any, ...]] = [
        (-(2**63), -(2**31), True, code, "größer", "", datetime(2026, 1, 17, 18, 30, 0, 5000), '{"a": 1}'),  # noqa: DTZ001
        (None,) * 8,
        (2**63 - 1, 0, False, UUID(int=0), "", "☃", datetime(1969, 12, 31, 23, 59, 59), "null"),  # noqa: DTZ001
    ]
    with closing(target.connect_sqlite(("loaded",))) as connection:
        connection.execute(TABLE)
        target.engine.load(connection, "loaded", "everything", _columns(values), is_new=False)
        found = [tuple(row)[1:] for row in connection.execute("select * from loaded.everything order by place")]
    assert found == [
        (-(2**63), -(2**31), 1, str(code), "größer", "", "2026-01-17 18:30:00.005000", '{"a": 1}'),
        (None,) * 8,
        (2**63 - 1, 0, 0, str(UUID(int=0)), "", "☃", "1969-12-31 23:59:59.000000", "null"),
    ]


def test_more_rows_than_a_chunk_and_more_layouts_than_fit_sixteen_bits_arrive_whole(
    connection: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten columns of texts of any length up to 8 are 9**10 layouts; chunks of 100 rows cut between them."""
    monkeypatch.setattr(columns, "CHUNK_ROWS", 100)
    source = np.random.default_rng(5)
    names = [f"text_{number}" for number in range(10)]
    lengths = source.integers(0, 9, (10, 1050))
    sent = [["ab☃defgh"[:length] for length in row] for row in lengths]
    connection.execute("drop table if exists loaded.wide")
    connection.execute(f"create table loaded.wide (place integer, {', '.join(f'{name} text' for name in names)})")

    find_engine("postgresql").load(
        connection,
        "loaded",
        "wide",
        [
            columns.integers("place", np.arange(1050)),
            *(columns.texts(name, row) for name, row in zip(names, sent, strict=True)),
        ],
        is_new=False,
    )

    found = connection.execute(f"select {', '.join(names)} from loaded.wide order by place").fetchall()
    assert found == list(zip(*sent, strict=True))


def test_an_integer_that_does_not_fit_is_refused_not_cut() -> None:
    with pytest.raises(OverflowError, match="column number"):
        columns.integers("number", np.array([2**31]))
