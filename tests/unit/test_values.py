"""A value is written in one place, and what is written is read as the same value again."""

import datetime
import decimal
import json
import math
import uuid
import zoneinfo
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrity.engines.sqlite.dialect import to_sqlite
from integrity.engines.values import PYTHON_MODULES, evidence_of, from_json, json_of, python_of, sql_of, text_of

ZONES = st.timezones() | st.none()
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.decimals(allow_nan=True, allow_infinity=True).filter(lambda value: not value.is_snan()),
    st.uuids(),
    st.binary(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.datetimes(timezones=ZONES).map(lambda value: value.replace(fold=0)),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)


def same(value: Any, other: Any) -> bool:
    """Return whether two values are equal and of one type; NaN is NaN here."""
    match value:
        case list():
            return len(value) == len(other) and all(map(same, value, other))
        case dict():
            return value.keys() == other.keys() and all(same(value[name], other[name]) for name in value)
        case float() | decimal.Decimal() if math.isnan(value):
            return type(value) is type(other) and math.isnan(other)
        case datetime.datetime():  # between zones, Python calls no two times equal that a change of clocks leaves out
            return type(value) is type(other) and value.isoformat() == other.isoformat()
    return type(value) is type(other) and bool(value == other)


@given(VALUES)
def test_a_value_comes_back_from_its_json_after_a_file(value: Any) -> None:
    assert same(value, from_json(json.loads(json.dumps(json_of(value)))))


@given(VALUES)
@example(datetime.datetime(1999, 3, 28, 2, 0, tzinfo=zoneinfo.ZoneInfo("Europe/Belgrade")))  # when clocks showed 3:00
def test_a_value_comes_back_from_its_python(value: Any) -> None:
    named = {name: __import__(name) for name in PYTHON_MODULES}
    assert same(value, eval(python_of(value), named))  # noqa: S307  (our own text)


@given(VALUES)
def test_a_literal_is_one_line_and_evidence_is_json(value: Any) -> None:
    assert "\n" not in sql_of(value)
    assert json.dumps(evidence_of(value), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (decimal.Decimal("1.50"), "1.50"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
        (datetime.timedelta(days=-1, seconds=90, microseconds=5), "-1 days 90.000005 seconds"),
        (b"\x00\xff", "\\x00ff"),
        ([1, None, 'a "b"', [2]], '{"1",NULL,"a \\"b\\"",{"2"}}'),
        ({"b": 1, "a": [True]}, '{"a": [true], "b": 1}'),
        (datetime.time(9, 30), "09:30:00"),
    ],
)
def test_a_value_is_the_text_that_the_server_reads(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_a_list_of_a_json_column_is_no_array() -> None:
    assert text_of(["a", 1], is_json=True) == '["a", 1]'
    assert sql_of("a", is_json=True) == "'\"a\"'"


def test_evidence_names_what_json_lacks_by_its_text() -> None:
    given = {"wei": 10**30, "price": decimal.Decimal("1.50"), "ratio": float("nan"), "tags": ["a"], "day": None}
    assert evidence_of(given) == {"wei": str(10**30), "price": "1.50", "ratio": "NaN", "tags": ["a"], "day": None}


@pytest.mark.parametrize("wrong", [{"$decimal": "1", "b": 2}, {"$colour": "red"}, {}])
def test_what_is_no_value_of_a_call_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="is not the value of a call"):
        from_json(wrong)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (decimal.Decimal("1.50"), "1.50"),
        (datetime.date(2026, 1, 17), "2026-01-17"),
        ([1, "a"], '[1, "a"]'),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x01", b"\x01"),
    ],
)
def test_sqlite_stores_what_it_does_not_know_as_text(value: Any, stored: Any) -> None:
    assert to_sqlite(value) == stored
