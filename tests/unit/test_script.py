"""An operation's file becomes the steps that psql would take, and what is wrong with it is said with its place."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from integrity.domain import IntegerIn, KeyOf, MomentIn, NewText, NewUuid, NumericIn, OneOf, World
from integrity.errors import SqlFileError
from integrity.operation import (
    Allowed,
    Begin,
    Commit,
    Declined,
    Isolation,
    Ok,
    Reply,
    Rollback,
    Statement,
    StatementFailed,
)
from integrity.sql.literals import as_sent
from integrity.systems.script.domains import NoDomain, read_domain
from integrity.systems.script.file import OperationFile, parse_operation_file
from integrity.systems.script.playing import ManyRows, NoRow
from integrity.systems.script.rows import unite

CALL = UUID(int=7)
QUOTED = ":'n'"
WITHDRAW = """\
-- title: a guest takes money out of a wallet
-- parameter wallet_id: key of wallets
-- parameter amount_minor: integer 1..80
begin;
select balance_minor from wallets where id = :wallet_id \\gset
-- decline insufficient_balance unless balance_minor >= :amount_minor
update wallets set balance_minor = :balance_minor - :amount_minor where id = :wallet_id;
commit;
-- reply: balance_minor
"""


def read(text: str, name: str = "pay") -> OperationFile:
    return parse_operation_file(text, path=Path(f"operations/{name}.sql"))


def play(text: str, answers: Sequence[Any], **arguments: Any) -> tuple[list[Any], Reply]:
    """Return what a call sends, a statement as its text, and its reply; an answer that is a text refuses, as SQLSTATE."""
    steps = read(text).operation.start(operation_id=CALL, **arguments)
    sent: list[Any] = []
    answers, answer = list(answers), None
    try:
        while True:
            step = steps.throw(StatementFailed("no", sqlstate=answer)) if isinstance(answer, str) else steps.send(answer)
            sent.append(step.sql if isinstance(step, Statement) else step)
            answer = answers.pop(0) if isinstance(step, Statement | Commit) and answers else None
    except StopIteration as end:
        reply: Reply = end.value
        return sent, reply


def test_statements_are_sent_in_their_order_and_a_kept_column_is_a_value_behind_its_row() -> None:
    sent, reply = play(WITHDRAW, [[{"balance_minor": 100}], []], wallet_id=1, amount_minor=30)
    assert sent == [
        Begin(),
        "select balance_minor from wallets where id = :wallet_id",
        "update wallets set balance_minor = :balance_minor - :amount_minor where id = :wallet_id",
        Commit(),
    ]
    assert reply == Ok({"balance_minor": 100})


def test_a_decline_rolls_back_and_ends_the_call() -> None:
    sent, reply = play(WITHDRAW, [[{"balance_minor": 20}]], wallet_id=1, amount_minor=30)
    assert (sent[-1], reply) == (Rollback(), Declined("insufficient_balance"))


@pytest.mark.parametrize(
    ("condition", "declines"),
    [
        ("unless row", False),
        ("if row", True),
        ("if not row", False),
        ("if n > 3 and state in ('open', 'held')", True),
        ("unless n between 1 and 4 or state = 'shut'", True),
        ("if missing is null", True),
        ("unless missing > 3", True),  # null holds nothing
        ("if missing > 3", False),
        ("if not (missing > 3)", False),
        ("unless not (missing in (1, 2) and n = 5)", True),
        ("if coalesce(missing, 9) = 9 and n is not null", True),
        ("if n is distinct from :given", True),
        ("if not (n = :given or price <> 1.50)", True),
        ("if n * 2 - 1 = 9 and -n < 0 and is_open", True),
        ("if is_told", True),  # as SQLite tells what is true: it has no type for it
        ("unless is_told and not is_denied", False),
        ("if is_denied", False),
        ("unless is_denied or missing", True),
    ],
)
def test_a_condition_is_worked_out_as_sql_does(condition: str, declines: bool) -> None:
    row = {"n": 5, "state": "open", "missing": None, "price": Decimal("1.5"), "is_open": True}
    row |= {"is_told": 1, "is_denied": 0}
    text = f"-- parameter given: integer 1..9\nselect * from t where n = :given;\n-- decline no {condition}\n"
    assert isinstance(play(text, [[row]], given=4)[1], Declined) is declines


@pytest.mark.parametrize(
    "torn",
    ["n <", "n between 1 and", "case when", "n in (select a from", "cast(n as", "not", "n in (", "n + 1 =", "n and"],
)
def test_a_torn_condition_is_told_with_its_line_and_in_no_words_of_the_parsers(torn: str) -> None:
    with pytest.raises(SqlFileError) as raised:
        play(f"-- parameter a: integer 1..9\nselect * from t where n = :a;\n-- decline no unless {torn}\n", [[]], a=4)
    told = str(raised.value)
    assert told.startswith("operations/pay.sql:3: ")
    assert not any(word in told.partition("\n")[0] for word in ("<", "sqlglot", "SENTINEL", "keyword: '"))


def test_no_row_keeps_nothing_and_whoever_uses_the_value_fails() -> None:
    with pytest.raises(NoRow, match=r"^operations/pay\.sql:7: :balance_minor is not set"):
        play(WITHDRAW.replace("-- decline", "-- once: decline"), [[]], wallet_id=1, amount_minor=3)


def test_several_rows_cannot_be_kept() -> None:
    with pytest.raises(ManyRows, match=r"^operations/pay\.sql:5: 2 rows came back"):
        play(WITHDRAW, [[{"balance_minor": 1}, {"balance_minor": 2}]], wallet_id=1, amount_minor=3)


def test_branches_are_psqls_and_a_prefix_stands_in_front_of_what_is_kept() -> None:
    text = """\
-- parameter code: text
\\set id null
select id from guild where code = :'code' \\gset old_
\\if :{?old_id}
\\set id 5
\\else
insert into guild (code) values (:'code') returning id, true as is_new \\gset
\\if :is_new
select 'new';
\\endif
\\endif
insert into member values (:id);
"""
    found, _ = play(text, [[{"id": 3}]], code="x")
    made, _ = play(text, [[], [{"id": 4, "is_new": True}]], code="x")
    assert found == ["select id from guild where code = :code", "insert into member values (:id)"]
    assert made[1:3] == ["insert into guild (code) values (:code) returning id, true as is_new", "select 'new'"]


REFUSED = """\
-- on 23505: {}
begin;
savepoint s;
insert into guild (code) values ('a');
select 1;
commit;
"""


def test_a_refusal_is_answered_as_the_file_says() -> None:
    sent, reply = play(REFUSED.format("rollback to s"), [[], "23505"])
    assert sent[3:] == ["rollback to savepoint s", "select 1", Commit()]
    sent, reply = play(REFUSED.format("decline taken"), [[], "23505"])
    assert (sent[3:], reply) == ([Rollback()], Declined("taken"))
    sent, reply = play(REFUSED.format("retry"), [[], "23505"])
    assert sent[3:6] == [Rollback(), Begin(), "savepoint s"]
    assert reply == Ok()


def test_a_call_begins_anew_five_times_at_most_and_not_when_it_has_committed() -> None:
    with pytest.raises(StatementFailed):
        play(REFUSED.format("retry"), [[], "23505"] * 5)
    with pytest.raises(StatementFailed):
        play("insert into t values (1);\ninsert into t values (2);\n-- on 23505: retry\n", [[], "23505"])


def test_what_whoever_calls_begins_anew_is_left_to_it() -> None:
    assert read("-- on 40001: retry\n-- may: decline busy, fail 23505\nselect 1;").operation.allowed == Allowed(
        failures=frozenset({"23505"}), declines=frozenset({"busy"}), retries=frozenset({"40001"})
    )


def test_a_transaction_begins_as_its_words_say() -> None:
    sent, _ = play("start transaction isolation level serializable, read only, deferrable; select 1; end;", [])
    assert sent[0] == Begin(Isolation.SERIALIZABLE, is_read_only=True, is_deferrable=True)
    assert play("begin; select 1; abort work;", [])[0][-1] == Rollback()


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("where id = :n", "where id = :n"),
        ("where :n = t.id and x", "where :n = t.id and x"),
        ("where id = :n + 1", "where id = cast(:n as integer) + 1"),
        ("where concat(:n, 'x') = format(:'n')", "where concat(cast(:n as integer), 'x') = format(cast(:n as integer))"),
        (
            "where a = :n or b = :n or :n + :n > 2",
            "where a = :n or b = :n_2 or cast(:n_3 as integer) + cast(:n_3 as integer) > 2",
        ),
        ("where f(:n)", "where f(cast(:n as integer))"),
        ("where id in (:n, 2) limit :n", "where id in (:n, 2) limit :n_2"),
        ("where id = :n::numeric", "where id = :n::numeric"),
        ("where a = ':n' -- :n\n and b = :'n'", "where a = ':n'\n and b = :n"),
    ],
)
def test_a_value_is_cast_where_its_place_gives_it_no_type_and_only_as_it_is_sent(written: str, sent: str) -> None:
    """All that is told of a statement, or tried with it, is in the words of the file: `:n_2` and `cast` are nobody's."""
    step = next(read(f"-- parameter n: integer 1..9\nselect x from t {written};").operation.start(operation_id=CALL, n=1))
    assert isinstance(step, Statement)
    assert as_sent(step).sql == f"select x from t {sent}"
    assert step.sql == f"select x from t {written.replace(' -- :n', '').replace(QUOTED, ':n')}"
    assert step.parameters == {"n": 1}


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("key of wallets", KeyOf("wallets")),
        ('key of shop."Wallet"', KeyOf("Wallet")),
        ("key of (select id from wallets where is_open)", KeyOf("pay_p")),
        ("integer -5..500", IntegerIn(-5, 500)),
        ("integer 100..600 by 100", IntegerIn(100, 600, 100)),
        ("numeric 0.01..99.9", NumericIn(Decimal("0.01"), Decimal("99.9"))),
        ("choice card, cash on delivery", OneOf(("card", "cash on delivery"))),
        ("choice 1, 'a, b'", OneOf((1, "a, b"))),
        ("boolean", OneOf((True, False))),
        ("uuid", NewUuid("new_p")),
        ("text", NewText("new_p")),
        ("timestamp", MomentIn(timedelta(0), timedelta(days=7))),
        ("timestamp now - 1 day..now + 2 hours", MomentIn(timedelta(days=-1), timedelta(hours=2))),
    ],
)
def test_a_domain_is_read(written: str, domain: object) -> None:
    assert read_domain(written, operation="pay", parameter="p").domain == domain


@pytest.mark.parametrize(
    "query", ["(select code from cards)", "select code from cards", "(WITH a AS (select 1) select 1 from a)"]
)
def test_a_choice_of_a_query_is_refused_with_what_asks_it(query: str) -> None:
    with pytest.raises(NoDomain, match=r"`key of \(+ ?\w+") as refused:
        read_domain(f"choice {query}", operation="pay", parameter="p")
    assert read_domain(str(refused.value).split("`")[1], operation="pay", parameter="p").query
    assert read_domain("choice (none), with (one), 'select it'", operation="pay", parameter="p").domain == OneOf(
        ("(none)", "with (one)", "select it")
    )


def test_decimal_numbers_keep_their_digits_and_their_ends() -> None:
    domain = NumericIn(Decimal("0.01"), Decimal("0.03"))
    drawn = {domain.draw(Random(seed), World()) for seed in range(40)}
    assert drawn == {Decimal("0.01"), Decimal("0.02"), Decimal("0.03")}


def test_rows_that_two_files_want_alike_are_one_and_a_table_without_any_gets_two() -> None:
    rows = "-- row wallet: wallets(balance = {})\n-- row first: entries(wallet_id = :wallet, note = 'a, (b')\nselect 1;"
    drawing = "-- parameter gate: key of gates\nselect 1 from gates where id = :gate;"
    files = [read(rows.format(100)), read(rows.format(100)), read(rows.format(0)), read(drawing)]
    assert [(row.key, row.table, dict(row.values)) for row in unite(file.wants for file in files)] == [
        ("wallet", "wallets", {"balance": "100"}),
        ("first", "entries", {"wallet_id": ":wallet", "note": "'a, (b'"}),
        ("wallet_2", "wallets", {"balance": "0"}),
        ("first_2", "entries", {"wallet_id": ":wallet_2", "note": "'a, (b'"}),
        ("gates_1", "gates", {}),
        ("gates_2", "gates", {}),
    ]
    assert [row.written_at.place for row in files[0].wants.rows] == ["operations/pay.sql:1", "operations/pay.sql:2"]


def test_two_rows_that_one_file_wants_alike_are_two() -> None:
    rows = unite([read("-- row one: wallets(balance = 1)\n-- row two: wallets(balance = 1)\nselect 1;").wants])
    assert [row.key for row in rows] == ["one", "two"]


@pytest.mark.parametrize("prose", ["now note: it waits", "one thing: it waits", "parameter names are those of the API"])
def test_prose_in_a_header_says_nothing(prose: str) -> None:
    assert read(f"-- {prose}\nselect 1;").header.parameters == {}


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("select 1", "1:1", "the statement is not ended"),
        ("-- title: t\n", "1:12", "there is no statement"),
        ("select (1;\n", "1:1", "a bracket is opened and not closed"),
        ("begin;\nselect 1;", "1:1", "the transaction is never ended"),
        ("begin;\nupdate t set a = 1\n-- as it was\n  commit;", "2:19", "a semicolon is missing here, before `commit`"),
        ("begin;\nselect 1 commit work;", "2:9", "a semicolon is missing here, before `commit`"),
        ("begin;\nselect 2\nrollback", "2:1", "the statement is not ended"),
        ("begin;\nselect case when true then 1\nend;", "1:1", "the transaction is never ended"),
        ("begin;\nselect case when true then 1\nend\nend;", "3:4", "a semicolon is missing here, before `end`"),
        ("select 1;\ncommit;", "2:1", "no transaction is open here"),
        ("begin;\nbegin;", "2:1", "a transaction is open already"),
        ("begin quickly;", "1:1", "'quickly' is nothing that a transaction begins with"),
        ("select :x;", "1:8", ":x is set by nobody above"),
        ("select a from t \\gset\nselect :b;", "2:8", ":b is set by nobody above"),
        ("\\echo hello", "1:1", "\\echo is not carried out here"),
        ("select 1 \\gexec\n", "1:10", "\\gexec within a statement"),
        ("\\if :{?x}\nselect 1;", "1:1", "the \\if has no \\endif"),
        ("\\endif\nselect 1;", "1:1", "there is no \\if that it belongs to"),
        (
            "\\if :{?x}\nbegin;\n\\endif\nselect 1;",
            "1:1",
            "behind it a transaction is open in one branch and not in another",
        ),
        ("update t set a = 1;\n-- decline no unless row", "2:1", "the statement of line 1 returns no rows to be asked"),
        ("update t set a = 1 \\gset", "1:1", "this statement has no row that could be kept"),
        ("select a from t;\n-- decline no unless b > 1", "2:1", "the statement of line 1 returns no column 'b'"),
        ("select a from t;\n-- decline no", "2:4", "a decline has a reason and a condition"),
        ("select a from t;\n-- decline no unless a > > 1", "2:", ""),
        ("select a from t;\n-- decline no unless lower(a) = 'x'", "2:22", "`LOWER(a)` is not worked out here"),
        ("-- decline no unless row\nselect 1;", "1:1", "a decline stands behind the statement whose row it asks"),
        ("select 1;\n-- declin no unless row", "2:4", "unknown word 'declin'"),
        ("select 1 as id;\n-- repply: id", "2:4", "unknown word 'repply'"),
        ("select 1;\n-- on 2350: retry", "2:4", "2350 is no SQLSTATE"),
        ("-- on 23505: forget it\nselect 1;", "1:14", "what is to be done on 23505 is not known: forget it"),
        ("-- parameter x: integr 1..2\nselect :x;", "1:17", "not a domain: 'integr 1..2'"),
        ("-- parameter x: integer 5..2\nselect :x;", "1:17", "not a domain: 'integer 5..2'"),
        ("-- parameter x: uuid\nselect 1;", "1:", "parameter 'x' is not used"),
        ("-- parameter: x uuid\nselect 1;", "1:", "a name is missing between parameter and the colon"),
        ("-- row w: wallets(a 1)\nselect 1;", "1:11", "not a column and its value: 'a 1'"),
        ("-- row w: wallets(a = :v)\nselect 1;", "1:11", "no row above it has the key 'v'"),
        ("-- stores: payments\nselect 1;", "1:12", "not where a row is stored: 'payments'"),
        ("-- titel: t\nselect 1;", "1:4", "unknown header key 'titel'"),
        ("-- parametr x: uuid\nselect :x;", "1:4", "unknown header key 'parametr'"),
        ("-- Parameter x: uuid\nselect :x;", "1:4", "unknown header key 'Parameter'"),
        ("-- rows w: wallets\nselect 1;", "1:4", "unknown header key 'rows'"),
        ("-- parameter x\nselect :x;", "1:4", "parameter 'x' has no domain"),
        ("-- parameter x integer 1..5\nselect :x;", "1:4", "parameter 'x' has no colon"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_a_caret(text: str, place: str, reason: str) -> None:
    with pytest.raises(SqlFileError) as raised:
        read(text)
    line, _, column = place.partition(":")
    first, *shown = raised.value.message.splitlines()
    assert first.startswith(f"operations/pay.sql:{line}: {reason}")
    assert not column or shown[-1].index("^") + 1 - len(f"  {line} | ") == int(column)


def test_a_second_row_of_one_name_is_told_with_a_name_that_is_free() -> None:
    with pytest.raises(SqlFileError) as raised:
        read("-- row a: t\n-- row a_2: t\n-- row a: t\nselect 1;")
    assert raised.value.hint == "Give it a name of its own: -- row a_3: ..., which other rows call :a_3."
