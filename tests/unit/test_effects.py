"""An effects.toml makes four invariants, as a .sql file each would; what it says wrongly is named with its place."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlglot import exp

from integrity.invariants.load import load_invariants
from integrity.project import Project, Settings
from integrity.sql.file import SqlFile
from integrity.sql.name import literal, quoted

EFFECTS = """
    subject = "account_id"

    [[effects]]
    table = "sales.entries"
    name = "entry"
    made_at = "created_at"
    where = "entries.kind = 'sale'"
    stored = "sell"

    [[effects]]
    table = "fees"
    made_at = "taken_at"
    failed = false
"""
PREPARERS = [dialect.dialect().identifier_preparer for dialect in (postgresql, sqlite)]
NAMES = [
    "a",
    "A",
    "userId",
    "user_id",
    "1st",
    "$a",
    "a$",
    "a b",
    'a"b',
    "a.b",
    "ü",
    "_",
    *sorted(PREPARERS[0].reserved_words | PREPARERS[1].reserved_words),
]


def load(folder: Path, text: str) -> dict[str, SqlFile]:
    """Return what a project has whose invariants/bank/effects.toml has this text."""
    path = folder / "invariants" / "bank" / "effects.toml"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(dedent(text), encoding="utf-8")
    files = load_invariants(Project(folder, Settings()), system="ghostpass")
    return {name: file for name, file in files.items() if file.is_own}


def tables(file: SqlFile) -> list[str]:
    assert file.tree is not None, file.fault
    return sorted(table.sql("postgres") for table in file.tree.find_all(exp.Table))


def conditions(file: SqlFile) -> Sequence[str]:
    assert file.tree is not None, file.fault
    return [where.this.sql("postgres") for where in file.tree.find_all(exp.Where)]


def test_it_makes_four_invariants_under_the_name_of_its_folder(tmp_path: Path) -> None:
    files = load(tmp_path, EFFECTS)
    assert {name: file.fault for name, file in files.items()} == {
        "bank/acknowledged-call-is-stored": "",
        "bank/call-at-most-once": "",
        "bank/failed-call-left-nothing": "",
        "bank/row-was-asked-for": "",
    }
    once = files["bank/call-at-most-once"]
    assert tables(once) == ["fees", "integrity.bank_calls AS calls", "sales.entries"]
    assert conditions(once) == ["(%(run_id)s IS NULL OR calls.run_id = %(run_id)s)", "entries.kind = 'sale'"]
    assert tables(files["bank/failed-call-left-nothing"]) == ["integrity.bank_calls AS calls", "sales.entries"]


def test_an_invariant_that_no_effect_is_of_is_not_made(tmp_path: Path) -> None:
    assert sorted(load(tmp_path, EFFECTS.replace('stored = "sell"', "failed = false"))) == [
        "bank/call-at-most-once",
        "bank/row-was-asked-for",
    ]


def test_a_file_that_is_written_by_hand_stands_in_the_place_of_the_one_that_would_be_made(tmp_path: Path) -> None:
    path = tmp_path / "invariants" / "bank" / "call-at-most-once.sql"
    path.parent.mkdir(parents=True)
    path.write_text("-- title: mine\nselect 1 as one", encoding="utf-8")
    files = load(tmp_path, EFFECTS)
    assert len(files) == 4
    assert files["bank/call-at-most-once"].title == "mine"


def test_the_history_is_that_of_the_system_that_it_names(tmp_path: Path) -> None:
    (file, *_) = load(tmp_path, f'system = "My-Bank"\n{dedent(EFFECTS)}').values()
    assert 'integrity."My-Bank_calls" AS calls' in tables(file)


def test_what_it_says_of_an_invariant_stands_in_its_header_to_the_letter(tmp_path: Path) -> None:
    header = '[once]\ntitle = "never $calls twice, $$"\nwhy = "-- because; it\'s $5"\nseverity = "warning"\n'
    file = load(tmp_path, dedent(EFFECTS).replace("[[effects]]", f"{header}[[effects]]", 1))["bank/call-at-most-once"]
    assert (file.title, file.why, file.severity) == ("never $calls twice, $$", "-- because; it's $5", "warning")
    assert file.hint.startswith("A retry without looking for the operation_id")


def test_names_are_quoted_where_they_must_be_and_texts_always(tmp_path: Path) -> None:
    text = """
        subject = "accountId"
        [[effects]]
        table = 'Sales."order.lines"'
        as = "user"
        name = "the customer's"
        id = "lineId"
        made_at = "group"
        stored = "it's"
    """
    files = load(tmp_path, text)
    assert {file.fault for file in files.values()} == {""}
    asked = files["bank/row-was-asked-for"].text
    for spelled in ('"user"."accountId"', "'the customer''s' as effect", '"user"."group" as made_at', 'made."accountId"'):
        assert spelled in asked
    assert '"Sales"."order.lines" AS "user"' in tables(files["bank/row-was-asked-for"])
    assert "calls.operation = 'it''s'" in files["bank/acknowledged-call-is-stored"].text


def test_an_or_of_a_condition_takes_no_other_condition_in(tmp_path: Path) -> None:
    text = EFFECTS.replace("where = ", 'where = ["(a or b) and c = \'x or y\'", "d or e"]\n    failed.where = ')
    by_all, by_failed, *_ = (
        load(tmp_path, text)[f"bank/{name}"] for name in ("call-at-most-once", "failed-call-left-nothing")
    )
    assert "where (a or b) and c = 'x or y' and (d or e)\n" in by_all.text
    assert "where (a or b) and c = 'x or y' and (d or e) and entries.kind = 'sale'\n" in by_failed.text


def test_what_a_call_alone_tells_is_looked_for_call_by_call(tmp_path: Path) -> None:
    key = "entries.key = calls.arguments ->> 'key'"
    text = EFFECTS.replace('stored = "sell"', f'stored = {{ by = ["sell", "gift"], found_by = "{key}" }}')
    file = load(tmp_path, text)["bank/acknowledged-call-is-stored"]
    place = f"""
        from sales.entries
        where
            calls.operation in ('sell', 'gift')
            and {key}
            and entries.kind = 'sale'
    )
"""
    assert place in file.text


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("entries.kind", "effects.toml:8: where of the effect in 'sales.entries': no such thing\n  query | "),
        ("fees.operation_id", "effects.toml:11: operation_id of the effect in 'fees': no such thing\n  query | "),
        ("min(effects", "effects.toml: in the query that is made of it: no such thing\n  query | "),
    ],
)
def test_what_a_server_refuses_is_named_where_it_was_written(tmp_path: Path, word: str, place: str) -> None:
    file = load(tmp_path, EFFECTS)["bank/call-at-most-once"]
    position = file.numbered.index(word) + 1
    described = file.describe_server_error("no such thing", position=position, hint="Mend it.")
    assert place in described
    *_, line, caret, hint = described.splitlines()
    assert line[caret.index("^") :].startswith(word)
    assert hint == "  hint: Mend it."


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_quoted_as_sqlalchemy_does_for_both_engines(name: str) -> None:
    spelled = [preparer.quote(name) for preparer in PREPARERS]
    assert quoted(name) == next((each for each in spelled if each != name), name)


def test_a_text_ends_where_it_ends() -> None:
    assert literal("it's") == "'it''s'"


MISTAKES = {
    "subject = 1": ":1: subject: '1' is no text",
    "subject = = 1": ":1: no TOML: Invalid value",
    'subject = "a"': ": effects: it is missing",
    'subjct = "a"': ":1: subjct: there is no such key\n  hint: Perhaps you meant subject.",
    'effects = [{table = "a"}]': ": subject: it is missing",
    'subject = "a"\neffects = 5': ":2: effects: it is no list of tables",
    'subject = "a"\n[[effects]]\nname = "x"': ":2: table: it is missing",
    'subject = "a"\n[[effects]]\ntable = "x"': ":2: made_at of the effect in 'x': it is missing",
    'subject = "a"\n[[effects]]\ntable = "x.y.z"': ":3: table of the effect in 'x.y.z': 'x.y.z' is no name",
    'subject = "a"\n[[effects]]\ntable = "x"\nasked = false\nonce = false\nfailed = false': ":2: effects: none of the",
    'subject = "a"\n[once]\ntitel = "x"': ":3: titel: there is no such key",
    'subject = "a"\n[once]\ntitle = "x\\ny"': ":3: title: it is of more than one line",
    'subject = "a"\n[once]\ntitle = "x\\u2028y"': ":3: title: it is of more than one line",
    'subject = "a"\n[once]\nseverity = "bad"': ":3: severity: unknown severity 'bad'",
}
OF_AN_EFFECT = {
    'where = "a = (b"': ":6: where of the effect in 'x': 'a = (b': its parentheses are no pairs",
    'where = "a) = (b"': ":6: where of the effect in 'x': 'a) = (b': its parentheses are no pairs",
    'where = "a; drop table b"': ":6: where of the effect in 'x': 'a; drop table b': a semicolon",
    'where = "a = 1 -- one"': ":6: where of the effect in 'x': 'a = 1 -- one': it has a comment",
    "where = \"a = 'b\"": ":6: where of the effect in 'x': \"a = 'b\": a quote is not closed",
    'where = "a = :b"': ":6: where of the effect in 'x': 'a = :b': :b is a parameter",
    "where = 5": ":6: where of the effect in 'x': '5' is neither a text nor a list",
    'id = "(a"': ":6: id of the effect in 'x': '(a': its parentheses are no pairs",
    "once = 5": ":6: once of the effect in 'x': '5' cannot be used",
    "stored = true": ":6: stored of the effect in 'x': 'True' cannot be used",
    "stored = []": ":6: by of the effect in 'x': it names no operation",
    'stored = { by = "sell", weher = "x" }': ":6: weher of the effect in 'x': there is no such key",
    '[effects.failed]\nweher = "x"': ":7: weher of the effect in 'x': there is no such key",
    'join = "t on true"\nstored = ["a", "b"]': ":7: join of the effect in 'x': it cannot stand beside found_by",
    'as = "calls"\nstored = ["a", "b"]': ":7: by of the effect in 'x': calls is the name of something else",
    'stored = { by = ["a", "b"], join = "t on true" }': ":6: join of the effect in 'x': it cannot stand beside found_by",
    'failed = { moved = "amount" }\n[[effects]]\ntable = "y"\nmade_at = "at"': ":8: failed: y says not what it moved",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *MISTAKES.items(),
        *(
            (f'subject = "a"\n\n[[effects]]\ntable = "x"\nmade_at = "at"\n{text}', said)
            for text, said in OF_AN_EFFECT.items()
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_stands_for_them_all(tmp_path: Path, text: str, message: str) -> None:
    (broken,) = load(tmp_path, text).values()
    assert broken.name == "bank/effects.toml"
    assert message in broken.fault.removeprefix(str(broken.path))
    assert broken.fault.startswith(f"{broken.path}{message[:3]}")
