"""Of an operation's file: which rows its calls are proven to have inserted, and so go in a rollback."""

from pathlib import Path

import pytest

from integrity.operation import Mark
from integrity.systems.script.file import parse_operation_file

HEADER = "-- parameter key: uuid\n-- parameter account_id: key of accounts\n"
BY_KEY, BY_ID = (
    Mark("payments", "key", argument="key", schema="public"),
    Mark("payments", "id", reply="id", schema="public"),
)
INSERT = "insert into payments (id, key) values (:account_id, upper(:'key'))"
PAYMENTS, ACCOUNTS = ("public", "payments"), ("public", "accounts")


@pytest.mark.parametrize(
    ("stores", "body", "marks", "unmarked"),
    [
        ("payments.key = :key", INSERT, {BY_KEY}, set()),
        ("payments.account_id = :account_id", INSERT, set(), {PAYMENTS}),  # a value that rows may have had before
        ("accounts.key = :key", "update accounts set key = :'key' where id = :account_id", set(), {ACCOUNTS}),
        ("accounts.key = :key", "select pay(:'key')", set(), {ACCOUNTS}),  # nobody knows what it does
        ("payments.id = reply.id", f"{INSERT} returning id \\gset", {BY_ID}, set()),
        ("payments.id = reply.id", f"{INSERT} on conflict do nothing returning id \\gset", {BY_ID}, set()),
        ("payments.id = reply.id", f"select id from payments \\gset\n{INSERT} returning id \\gset", set(), {PAYMENTS}),
        (
            "payments.id = reply.id",
            f"{INSERT} on conflict (id) do update set amount = 0 returning id \\gset",
            set(),
            {PAYMENTS},
        ),
        ("payments.key = :key", f"{INSERT} on conflict (id) do update set key = excluded.key", set(), {PAYMENTS}),
        ("payments.key = :key", f"{INSERT} on conflict (id) do update set amount = 0", {BY_KEY}, set()),
        ("payments.key = :key", f"begin; savepoint s; {INSERT}; commit", {BY_KEY}, set()),
        ("payments.key = :key", f"{INSERT}; update payments set (a, key) = (1, :'key')", set(), {PAYMENTS}),
        ("payments.key = :key", f"{INSERT}; select 1 +* +", set(), None),  # not one that the parser knows
        ("", INSERT, set(), {PAYMENTS}),
        ("", "insert into payments (id, key) values (1, :'key'), (2, :'key')", {BY_KEY}, set()),
        ("", "insert into payments (id, key) values (1, :'key'), (2, null)", set(), {PAYMENTS}),
        (
            "",
            'insert into shop."Pay" ("Key") values (:\'operation_id\')',
            {Mark("Pay", "Key", schema="shop")},
            set(),
        ),
    ],
)
def test_a_mark_is_what_only_rows_that_a_call_inserted_can_hold(
    stores: str, body: str, marks: set[Mark], unmarked: set[tuple[str, str]] | None
) -> None:
    told = "-- reply: id\n" if "reply" in stores else ""
    used = "" if ":account_id" in body + stores else "select :account_id;\n"
    used += "" if ":'key'" in body else "select :'key';\n"
    text = f"{HEADER}{f'-- stores: {stores}' if stores else '--'}\n{told}{used}{body};\n".replace("\\gset;", "\\gset")

    operation = parse_operation_file(text, path=Path("operations/pay.sql")).operation

    assert (set(operation.marks), operation.unmarked) == (marks, unmarked)
