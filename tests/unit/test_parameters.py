"""`:name` placeholders are found where they are parameters, and nowhere else."""

import pytest

from integrity.sql.parameters import find_parameters, number_parameters, plain_comments, replace_parameters


def test_names_come_in_order_of_first_appearance_without_repeats() -> None:
    assert find_parameters("select :b, :a where x = :b") == ("b", "a")


@pytest.mark.parametrize(
    "text",
    [
        "select 'it''s :a'",
        'select ":a" from t',
        "select 1 -- :a",
        "select 1 /* :a\n :b */",
        "select x::bigint",
        "select $$ :a $$, $tag$ :a $tag$",
        "select a[1:2]",
        "select '10:30:00'",
        r"select E'a\' :a', e'\\', ' :b'",
        "select 1 /* a /* b */ :a /* c /* d */ */ :b */",
    ],
)
def test_text_that_only_looks_like_a_parameter_is_left_alone(text: str) -> None:
    assert find_parameters(text) == ()


def test_comments_are_made_plain_and_nothing_else() -> None:
    text = "-- Käufe\nselect 'ä--ö', \"ü\" /* Größe /* 日本 */ */ , $$ /* é */ $$ -- ß"
    plain = "-- K?ufe\nselect 'ä--ö', \"ü\" /* Gr??e /* ?? */ */ , $$ /* é */ $$ -- ?"
    assert plain_comments(text) == plain


def test_a_cast_parameter_is_one() -> None:
    assert find_parameters("select :a::bigint, cast(:b as text)") == ("a", "b")


def test_numbering_gives_each_name_one_number() -> None:
    assert number_parameters("select :b, :a, :b") == ("select $1, $2, $1", ("b", "a"))


def test_replacing_leaves_strings_and_comments_as_they_are() -> None:
    assert replace_parameters("select ':a', :a -- :a", lambda name: f"%({name})s") == "select ':a', %(a)s -- :a"
