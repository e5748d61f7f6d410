"""SQL files: what a header says is kept, and what cannot be used is refused with its place."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integrity.errors import SqlFileError, UsageError
from integrity.invariants.load import load_invariants
from integrity.project import Project, Settings, reference_folder
from integrity.sql.file import SqlFile, _is_plainly_one_select, parse_sql_file, read_sql_file
from integrity.sql.query import check_query
from integrity.verdict import Severity

NOW = datetime(2026, 1, 17, 18, 30, tzinfo=UTC)
TITLE = "-- title: t\n"


def parse(text: str) -> SqlFile:
    return parse_sql_file(text, path=Path("invariants/w/x.sql"), name="w/x")


def refused(text: str) -> str:
    with pytest.raises(SqlFileError) as caught:
        parse(text)
    return str(caught.value)


def test_a_header_is_read_with_its_continued_lines() -> None:
    file = parse(
        "-- title: no debt\n-- severity: warning\n-- why: guests\n--   pay first\n-- hint: look\nselect 1 as one\n"
    )
    assert (file.title, file.severity, file.why, file.hint, file.source) == (
        "no debt", Severity.WARNING, "guests pay first", "look", "",
    )  # fmt: skip
    assert file.query == "select 1 as one"


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "x.sql"
    path.write_bytes(b"\xef\xbb\xbf-- title: t\r\n-- why: w\r\nselect 1 as one\r\n")
    file = read_sql_file(path, name="x")
    assert (file.title, file.why) == ("t", "w")


def test_parameters_have_defaults_that_count_from_now() -> None:
    file = parse(
        "-- title: t\n"
        "-- parameter: cutoff timestamptz = now - 15 minutes\n"
        "-- parameter: at timestamptz = now\n"
        "-- parameter: run_id text = null\n"
        "-- parameter: least bigint = -3\n"
        "-- parameter: kind text = 'it''s'\n"
        "-- parameter: is_open boolean = true\n"
        "select 1 where :cutoff < :at and :run_id = :kind and :least = 1 and :is_open\n"
    )
    values = file.values({"least": 5}, now=NOW)
    assert values == {
        "cutoff": NOW - timedelta(minutes=15), "at": NOW, "run_id": None, "least": 5, "kind": "it's", "is_open": True,
    }  # fmt: skip
    assert file.parameter_names == ("cutoff", "at", "run_id", "kind", "least", "is_open")
    assert "$1::timestamptz < $2::timestamptz and $3::text = $4::text" in file.numbered


def test_a_missing_and_an_unknown_value_are_named() -> None:
    file = parse("-- title: t\n-- parameter: wallet_id bigint\nselect :wallet_id as id\n")
    with pytest.raises(UsageError, match="w/x needs a value for parameter 'wallet_id'"):
        file.values({}, now=NOW)
    with pytest.raises(UsageError, match="w/x has no parameter 'walet_id'"):
        file.values({"walet_id": 1, "wallet_id": 1}, now=NOW)


def test_text_is_sent_up_to_its_semicolon_with_the_lines_where_they_were() -> None:
    file = parse("-- title: t\nselect ';' as a -- ;\n;\n-- bye\n")
    assert file.numbered == "-- title: t\nselect ';' as a -- ;\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "select 1\n",
            "invariants/w/x.sql:1: the header has no title\n  hint: Start the file with `-- title: what must hold`.",
        ),
        (
            "-- title: t\n-- titel: u\nselect 1\n",
            "invariants/w/x.sql:2: unknown header key 'titel'\n  2 | -- titel: u\n         ^\n"
            "  hint: Perhaps you meant title. The header's keys are: title, severity, source, why, hint, parameter, "
            "limit-ms, index, sample. "
            "A plain comment has no colon behind its first word.",
        ),
        (
            "-- title: t\nselec 1\n",
            "invariants/w/x.sql:2: syntax error at or near '1'\n  2 | selec 1\n            ^\n"
            "  hint: Invalid expression / Unexpected token.",
        ),
        (
            "-- title: t\nselect 1;\n\nselect 2\n",
            "invariants/w/x.sql:2: more than one statement\n  2 | select 1;\n              ^\n"
            "  hint: One question a file: split it in two.",
        ),
        (
            "-- title: t\nselect *\n\tfrom a where b = :c\n",
            "invariants/w/x.sql:3: parameter 'c' is not declared\n  3 | \tfrom a where b = :c\n"
            "      \t                 ^\n  hint: Declare it in the header: `-- parameter: c text = 'default'`.",
        ),
        (
            "-- title: t\n-- parameter: c text = null\nselect 1\n",
            "invariants/w/x.sql:2: parameter 'c' is not used by the query\n  2 | -- parameter: c text = null\n"
            "                    ^",
        ),
        ("-- title: t\n", "invariants/w/x.sql:2: no query below the header"),
        ("-- title: t\n;\n", "invariants/w/x.sql:3: no query below the header"),
        ("-- title: t\n-- title: u\nselect 1\n", "invariants/w/x.sql:2: a second 'title' in the header"),
        (
            "-- title: t\n-- severity: fatal\nselect 1\n",
            "invariants/w/x.sql:2: unknown severity 'fatal'\n  hint: It is error or warning.",
        ),
        (
            "-- title: t\n-- parameter: a int = 1\nselect :a\n",
            "invariants/w/x.sql:2: unknown parameter type 'int'\n"
            "  hint: The types are: bigint, integer, numeric, text, boolean, uuid, date, timestamptz, jsonb.",
        ),
        (
            "-- title: t\n-- parameter: a text = now - 3 weeks\nselect :a\n",
            "invariants/w/x.sql:2: not a default: 'now - 3 weeks'\n  hint: Write `-- parameter: name type = default`; "
            "the default is now, now - 15 minutes, null, a number or 'text'.",
        ),
        (
            "-- title: t\n-- parameter: a text = null\n-- parameter: a text = null\nselect :a\n",
            "invariants/w/x.sql:3: parameter 'a' is declared twice",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(text: str, message: str) -> None:
    assert refused(text) == message


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("insert into a values (1)", "insert"),
        ("update a set b = 1", "update"),
        ("delete from a", "delete"),
        ("with gone as (delete from a returning *) select * from gone", "delete"),
        ("select * into b from a", "into"),
        ("select * from a for update", "for"),
        ("select * from a for share of a", "for"),
        ("create table a as select 1", "create"),
        ("drop table a", "drop"),
        ("truncate a", "truncate"),
        ("vacuum a", "vacuum"),
        ("copy a to stdout", "copy"),
        ("do $$ begin end $$", "do"),
        ("set x = 1", "set"),
        ("call f()", "call"),
        ("explain analyze select 1", "explain"),
        ("begin", "begin"),
    ],
)
def test_anything_but_one_read_only_select_is_refused(query: str, word: str) -> None:
    message = refused(TITLE + query)
    assert message.startswith(f"invariants/w/x.sql:2: not one read-only select: '{word}'\n  2 | {query}\n")
    assert message.splitlines()[2].index("^") == len("  2 | ") + query.index(word)


@pytest.mark.parametrize(
    "query",
    [
        "select 1;\n-- the end\n",
        "(select 1)",
        "values (1), (2)",
        "with a as (select 1) values (2)",
        "table a",
        "with a as (select 1 as b) table a",
        "select 1 union all select 2",
        "with a as (select 1 as b) select b from a",
        "select 'insert into a' as text, \"update\" from b",
        "select a::text, b[1:2], '12:30', $$ :x $$ from c -- :y\n",
    ],
)
def test_what_only_looks_like_a_write_or_a_parameter_is_accepted(query: str) -> None:
    assert parse(TITLE + query).parameter_names == ()


def test_a_server_error_is_shown_at_its_own_line_under_its_own_word() -> None:
    file = parse("-- title: t\n-- parameter: least bigint = 1\nselect a\nfrom b\nwhere c > :least and amout > 1\n")
    position = file.numbered.index("amout") + 1
    assert file.describe_server_error("column amout does not exist", position=position, hint="Perhaps b.amount.") == (
        "invariants/w/x.sql:5: column amout does not exist\n"
        "  5 | where c > :least and amout > 1\n"
        "                           ^\n"
        "  hint: Perhaps b.amount."
    )


def test_a_server_error_without_a_place_names_the_file() -> None:
    file = parse("-- title: t\nselect 1\n")
    assert file.describe_server_error("permission denied", position=None, hint=None) == (
        "invariants/w/x.sql: permission denied"
    )


def test_a_file_that_the_server_would_read_half_is_refused(tmp_path: Path) -> None:
    (tmp_path / "half.sql").write_text("-- title: t\nselect 1 as one \0 where false\n")
    with pytest.raises(SqlFileError, match="cannot be read: it holds a character 0"):
        read_sql_file(tmp_path / "half.sql", name="half")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.sql"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SqlFileError, match="cannot be read: not UTF-8"):
        read_sql_file(path, name="x")


@pytest.mark.parametrize(
    "text",
    [
        "-- A note on the first line\n-- title: t\n-- severity: warning\nselect 1",
        "\n\n-- title: t\n\n-- severity: warning\n\nselect 1",
        "/* Licence: free\n-- title: another */\n-- title: t\n-- severity: warning\nselect 1",
        "-- see https://example.org/why\n-- title: t\n-- a word on the next line\n-- severity: warning\nselect 1",
        "-- title: t\n-- severity: warning\n-- by std::move\nselect 1",
    ],
    ids=["a note", "blank lines", "a block", "an address", "two colons"],
)
def test_plain_comments_and_blank_lines_may_stand_anywhere_in_a_header(text: str) -> None:
    file = parse(text)
    assert (file.title, file.severity, file.query) == ("t", Severity.WARNING, "select 1")


def test_what_is_indented_behind_a_plain_comment_continues_no_entry() -> None:
    assert parse("-- title: t\n-- just so\n--   and on\nselect 1").title == "t"


@pytest.mark.parametrize("key", ["sevrity", "Severity", "hints", "note", "level"])
def test_a_key_that_nobody_knows_is_refused_since_what_it_says_would_be_lost(key: str) -> None:
    assert f"unknown header key '{key}'" in refused(f"-- title: t\n-- {key}: warning\nselect 1")


def test_a_severity_below_the_first_line_of_the_query_is_refused() -> None:
    assert refused("-- title: t\nselect 1\n-- severity: warning\n").startswith(
        "invariants/w/x.sql:3: 'severity' below the first line of the query"
    )


def test_parameters_may_be_numeric_a_date_or_json_and_count_days_from_now() -> None:
    file = parse(
        "-- title: t\n"
        "-- parameter: rate numeric = 1.500000000000000000000000000001\n"
        "-- parameter: day date = now - 2 days\n"
        "-- parameter: first date = '2026-01-01'\n"
        "-- parameter: shape jsonb = '{\"a\": 1}'\n"
        "select 1 where :rate > 1 and :day > :first and :shape is not null\n"
    )
    assert file.values({}, now=NOW) == {
        "rate": "1.500000000000000000000000000001", "day": "2026-01-15", "first": "2026-01-01", "shape": '{"a": 1}',
    }  # fmt: skip
    assert "$1::numeric > 1 and $2::date > $3::date and $4::jsonb" in file.numbered


def test_a_quoted_parameter_as_psql_has_it_is_one_and_errors_keep_their_place() -> None:
    file = parse("-- title: t\n-- parameter: kind text = 'a'\nselect 1 where :'kind' = 'b' and amout > 1\n")
    assert (file.parameter_names, file.tree is not None) == (("kind",), True)
    position = file.numbered.index("amout") + 1
    shown = file.describe_server_error("no such column", position=position, hint=None).splitlines()
    assert shown[2].index("^") == shown[1].index("amout")


def test_what_the_parser_does_not_know_has_no_tree_and_is_no_fault_of_the_file() -> None:
    file = parse("-- title: t\nselect id from a where id > 1_000;\n-- bye\n")
    assert (file.tree, file.numbered) == (None, "-- title: t\nselect id from a where id > 1_000")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select id from a where id > 1_000; drop table a", "more than one statement"),
        ("drop table a where id > 1_000", "syntax error at or near"),
    ],
)
def test_what_can_be_told_without_a_tree_is_refused_all_the_same(query: str, said: str) -> None:
    assert said in refused(TITLE + query)


WORDS = [
    "select", "with", "a", "as", "(", ")", "1", "*", ",", "from", "where", "union", "all", "values", "values_(1)",
    "table", "insert_into_a_values_(1)", "update_a_set_a=1", "delete_from_a", "for_update", "for_key_share",
    "for_no_key_update", "into_a", "lock", "copy", "to", "call", "create", "drop", "merge", ";", "';_delete'",
    "--_for_update", "/*_;_*/", '"update"', "E'\\'", "$$", "and", "'",
]  # fmt: skip
BEGINNINGS = ["", "select ", "select a ", "select a from b ", "with a as (select 1) ", "with a as (select 1) select a "]


def test_the_parser_would_refuse_nothing_that_it_is_not_asked_about() -> None:
    queries = [f"{begin}{first} {second}" for begin in BEGINNINGS for first in WORDS for second in ("", *WORDS)]
    plain = [text for query in queries if _is_plainly_one_select(text := TITLE + query.replace("_", " "))]
    assert len(plain) > len(queries) / 4
    for text in plain:
        check_query(text)


def test_the_parser_is_asked_about_none_of_the_reference_systems_files() -> None:
    files = load_invariants(Project(reference_folder("invariants").parent, Settings())).values()
    assert files
    assert [file.name for file in files if not _is_plainly_one_select(file.text)] == []
