"""SQL text is cut up as PostgreSQL cuts it, in one place; whoever has to know what stands in a text asks there."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.sql.tokens import Token, TokenKind, code_tokens, spliced, tokenize, without_semicolon
from tests.unit.sources import nodes

PIECES = [
    "'",
    '"',
    "$",
    "$$",
    "$a$",
    "/*",
    "*/",
    "--",
    "\n",
    " ",
    "E'",
    "\\",
    'U&"',
    "uescape",
    "'!'",
    "a",
    "É",
    "1.5e",
    ":",
    "->",
    ";",
]


def _shown(text: str) -> str:
    """Return the kinds and texts of what the text is cut into, e.g. `word:a sign:;`."""
    return " ".join(f"{token.kind.value}:{token.text}" for token in tokenize(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('Select "Id" from É', "word:select name:Id word:from word:É"),
        ("a.b::text", "word:a sign:. word:b sign:: sign:: word:text"),
        ("'it''s' 'two'", "string:'it''s' string:'two'"),
        (r"E'a\'b;' x", r"string:E'a\'b;' word:x"),
        (r"'a\' x", r"string:'a\' word:x"),
        ("E'a'\n'b\\';' x", "string:E'a'\n'b\\';' word:x"),
        ("$a$ 'b' $$ ; $a$;", "string:$a$ 'b' $$ ; $a$ sign:;"),
        ("a$b$c", "word:a$b$c"),
        ("1_000.5e-3", "number:1_000.5e-3"),
        ("a-- ;'\nb", "word:a comment:-- ;' word:b"),
        ("/* a /* b */ ; */ c", "comment:/* a /* b */ ; */ word:c"),
        ("a<-1", "word:a operator:< operator:- number:1"),
        ("a@-b", "word:a operator:@- word:b"),
        ("a*/*c*/b", "word:a operator:* comment:/*c*/ word:b"),
        (r'''U&"d\0061t" "x"''', "name:dat name:x"),
        (r"""U&"d!0061t" uescape '!' x""", "name:dat word:x"),
        ("'open", "sign:' word:open"),
        ("$$ open", "string:$$ open"),
        ("x" * 70, "word:" + "x" * 63),
    ],
)
def test_a_text_is_cut_up_as_the_server_cuts_it(text: str, shown: str) -> None:
    assert _shown(text) == shown


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_every_character_but_a_blank_is_in_one_token(text: str) -> None:
    place = 0
    for token in tokenize(text):
        assert text[place : token.start].strip(" \t\n\r\f\v") == ""
        assert token.start < token.end
        place = token.end
    assert text[place:].strip(" \t\n\r\f\v") == ""


def test_a_word_in_quotes_is_no_key_word() -> None:
    bare, quoted = tokenize('Select "select"')
    assert (bare.is_word("select"), quoted.is_word("select")) == (True, False)
    assert quoted == Token(TokenKind.NAME, "select", 7, 15)


def test_comments_are_no_code() -> None:
    assert [token.text for token in code_tokens("a -- b\n/* c */ d")] == ["a", "d"]


def test_tokens_are_replaced_and_all_else_stays() -> None:
    text = "select a.b /* a.c */ from  t as a"
    qualifiers = [(token, "x") for token in tokenize(text) if token.is_word("a")]
    assert spliced(text, qualifiers) == "select x.b /* a.c */ from  t as x"


@pytest.mark.parametrize(
    ("text", "before"),
    [("select 1; -- end", "select 1"), ("select ';' -- ;", "select ';' -- ;"), ("select $$;$$;", "select $$;$$")],
)
def test_what_stands_before_the_semicolon_can_stand_in_another_statement(text: str, before: str) -> None:
    assert without_semicolon(text) == before


def test_only_the_room_of_sql_text_cuts_it_up_or_parses_it() -> None:
    others = [
        f"{place}:{node.lineno}: sqlglot.{node.attr}"
        for place, node in nodes("sqlglot")
        if not place.startswith("sql/")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sqlglot"
        if node.attr in ("parse", "parse_one", "tokenize", "transpile")
    ]
    assert others == []
