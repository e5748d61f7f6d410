"""Comments that all but say something of ours are told, and prose is left alone."""

from pathlib import Path

import pytest

from integrity.errors import SqlFileError
from integrity.sql.tokens import TokenKind, tokenize
from integrity.systems.script.file import parse_operation_file
from integrity.systems.script.slips import find_slip

ROOT = Path(__file__).parents[2]
IN_HEADER = {
    "store payments.key = :key": "stores: payments.key = :key",
    "stores payments.key = :key": "stores: payments.key = :key",
    "store: payments.key: :key at made": "stores: payments.key = :key at made",
    "store payments.key: :key": "stores: payments.key = :key",
    "stroes: payments.id = reply.id": "stores: payments.id = reply.id",
    "rwo one: wallets(balance = 1)": "row one: wallets(balance = 1)",
    "row one wallets(balance = 1)": "row one: wallets(balance = 1)",
    "Row one: shop.wallets(balance = 1)": "row one: shop.wallets(balance = 1)",
    "param amount: integer 1..5": "parameter amount: integer 1..5",
    "paramter wallet: key of wallets": "parameter wallet: key of wallets",
    "no 23505: retry": "on 23505: retry",
    "on 23505 decline taken": "on 23505: decline taken",
    "my: decline taken": "may: decline taken",
    "may fail 23505": "may: fail 23505",
}
IN_BODY = {
    "onn 23505: retry": "on 23505: retry",
    "no 23p01: decline taken": "on 23P01: decline taken",
    "on 23505 continue": "on 23505: continue",
    "declien no if balance < 1": "decline no if balance < 1",
    "declines no unless row": "decline no unless row",
    "repyl: id, balance": "reply: id, balance",
    "store payments.key = :key": "stores: payments.key = :key",
    "row one: wallets(balance = 1)": "row one: wallets(balance = 1)",
    "parameter amount: integer 1..5": "parameter amount: integer 1..5",
    "may: fail 23505": "may: fail 23505",
}
PROSE = """
in 2023: retry later
on conflict: nothing happens
on monday: retry by hand
note: it waits
now one: wallets come first
the row: see below
rows are locked in the order of their ids
row level security is on for wallets (see docs)
row locks: for update
rows one to ten: wallets
store the balance in cents
store.wallets is a view
stores are closed on sunday
storage = toast
parameter names are those of the API
parameters: see the manual
params text is never null
may be null
may fail if the wallet is gone
may decline the offer
maybe: fail later
my: wallet
define total if missing
decide late unless asked
online if connected
one 23505 is expected here
for 40001 retry the whole call
in 23505 of 99999 cases: decline
reply to the client
repeat: twice
TODO: drop this table
FIXME(ann): wallets.balance = 0 is wrong
select id from wallets where balance = :balance
insert into t(a) values (1);
update wallets set balance = :b if needed
no: never
no retry
key of wallets
integer 1..5
https://example.org/a.b=:c
---------------
+migrate Up
@block
name: get_wallet :one
""".strip().splitlines()


def fault_of(text: str) -> str:
    with pytest.raises(SqlFileError) as raised:
        parse_operation_file(text, path=Path("operations/pay.sql"))
    return str(raised.value)


@pytest.mark.parametrize(("written", "meant"), IN_HEADER.items())
def test_a_slip_in_the_header_is_told_with_what_was_meant(written: str, meant: str) -> None:
    told = fault_of(f"-- title: t\n-- {written}\nselect 1;")
    assert told.startswith("operations/pay.sql:2: "), told
    assert f"  2 | -- {written}\n         ^" in told
    if "unknown header key" not in told:  # a word and a colon: the keys are listed
        assert f"`-- {meant}`" in told, told


@pytest.mark.parametrize(("written", "meant"), IN_BODY.items())
def test_a_slip_behind_a_statement_is_told_with_what_was_meant(written: str, meant: str) -> None:
    told = fault_of(f"begin;\nselect 1 as id;\n-- {written}\ncommit;")
    assert told.startswith("operations/pay.sql:3: "), told
    assert (f"  3 | -- {written}\n         ^" in told, f"`-- {meant}`" in told) == (True, True), told


@pytest.mark.parametrize("comment", PROSE)
def test_prose_is_left_alone(comment: str) -> None:
    assert find_slip(comment) is None
    parse_operation_file(f"begin;\nselect 1;\n-- {comment}\ncommit;", path=Path("operations/pay.sql"))


def test_the_comments_of_files_that_were_not_written_for_us_are_left_alone() -> None:
    """Schemas of applications, invariants and queries: none of their plain comments has the form of an operation's."""
    comments = 0
    for folder in ("tests", "invariants", "queries", "examples"):
        for path in (ROOT / folder).rglob("*.sql"):
            if "operations" in path.parts:
                continue
            for token in tokenize(path.read_text(encoding="utf-8")):
                if token.kind is TokenKind.COMMENT and token.text.startswith("--"):
                    comments += 1
                    slip = find_slip(token.text.strip("- \n"))
                    assert slip is None or slip.word == slip.meant == "parameter", (path, slip)
    assert comments > 500
