"""A rewrite takes exactly one protection out of a statement, or adds a row lock, and leaves the rest as it was written."""

from uuid import UUID

import pytest

from integrity.operation import (
    Begin,
    Commit,
    Declined,
    Ok,
    Operation,
    Request,
    Rollback,
    Statement,
    StatementFailed,
    Steps,
)
from integrity.race.trial.protections import Protection, tell_apart
from integrity.race.trial.rewrite import in_one_transaction, in_parts, replacing, with_steps_changed
from integrity.race.trial.statement_parts import find_guards, find_on_conflict, find_row_lock, lock_rows


@pytest.mark.parametrize(
    ("sql", "clause", "rest"),
    [
        ("select n from boxes where id = :id for update", "for update", "select n from boxes where id = :id"),
        ("select n from boxes for no key update skip locked", "for no key update skip locked", "select n from boxes"),
        ("select n from boxes\nfor share\n", "for share", "select n from boxes"),
    ],
)
def test_a_row_lock_is_found_and_removed(sql: str, clause: str, rest: str) -> None:
    part = find_row_lock(sql)
    assert part is not None
    assert (part.text, part.remove()) == (clause, rest)


@pytest.mark.parametrize(
    "sql",
    [
        "select n from boxes where note = 'for update'",
        "select substring(note from 1 for 3) from boxes",
        "select n from boxes -- for update",
        "update boxes set n = 1",
    ],
)
def test_what_only_looks_like_a_row_lock_is_none(sql: str) -> None:
    assert find_row_lock(sql) is None


def test_on_conflict_is_removed_up_to_returning() -> None:
    part = find_on_conflict("insert into boxes (id) values (:id)\non conflict (id) do update set n = 1\nreturning id")
    assert part is not None
    assert part.text == "on conflict (id) do update set n = 1"
    assert part.remove() == "insert into boxes (id) values (:id) returning id"
    assert find_on_conflict("insert into boxes (id) values (:id) returning id") is None


@pytest.mark.parametrize(
    ("sql", "guards"),
    [
        ("update boxes set n = 1 where id = :id and state = 'open' returning n", ["and state = 'open'"]),
        ("update boxes set n = 1 where state = 'open' and id = :id", ["state = 'open' and"]),
        ("delete from boxes where id = :id and n >= :n and is_full", ["and n >= :n", "and is_full"]),
        (
            "update boxes set n = 1 where boxes.id = :id and n in (select 1 where a and b)",
            ["and n in (select 1 where a and b)"],
        ),
        ('update boxes set n = 1 where "shelfId" = :shelf and id = :id and not sold', ["and not sold"]),
        ("update boxes set n = 1 where ID = :id and is_full", ["and is_full"]),
        ("update boxes set n = 1 where id = :id", []),
        ("update boxes set n = 1 where state = 'open'", []),
        ("update boxes set n = 1 where id = :id and (a or b)", []),
        ("update boxes set n = 1 where id = :id and n between 1 and 5", []),
        ("update boxes set n = 1", []),
        ("select n from boxes where id = :id and is_full", []),
    ],
)
def test_conditions_that_guard_an_update_are_found_where_that_is_plain_to_see(sql: str, guards: list[str]) -> None:
    found = find_guards(sql, keys={"id", "shelfId"})
    assert [part.text for part in found] == guards
    for part in found:
        assert "id = :id" in part.remove().lower()
        assert part.text not in part.remove()


@pytest.mark.parametrize(
    ("sql", "locked"),
    [
        ("select n from boxes where id = :id", "select n from boxes where id = :id for update"),
        (
            "select n from boxes where id = :id order by n limit 1;\n",
            "select n from boxes where id = :id order by n limit 1 for update",
        ),
        ("select sum(n) from boxes", None),
        ("select n from boxes for share", None),
        ("select n from boxes join lids on lids.box_id = boxes.id", None),
        ("select n from boxes group by n", None),
        ("insert into boxes (n) values (1) returning id", None),
        ("not sql at all (", None),
    ],
)
def test_only_a_plain_select_of_one_table_is_given_a_row_lock(sql: str, locked: str | None) -> None:
    assert lock_rows(sql) == locked


def take(*, operation_id: UUID) -> Steps:
    yield Begin()
    rows = yield Statement("select n from boxes", {})
    try:
        yield Statement("update boxes set n = :n", {"n": rows[0]["n"] - 1})
    except StatementFailed as error:
        return Declined(str(error.sqlstate))
    yield Commit()
    return Ok({"n": rows[0]["n"]})


def test_a_changed_operation_takes_answers_and_refusals_like_the_one_within() -> None:
    changed = with_steps_changed(Operation("take", take, {}), replacing("select n from boxes", "select 9 as n"))
    steps = changed.steps(operation_id=UUID(int=1))
    assert steps.send(None) == Begin()
    assert steps.send(None) == Statement("select 9 as n", {})
    assert steps.send([{"n": 9}]) == Statement("update boxes set n = :n", {"n": 8})
    with pytest.raises(StopIteration) as ended:
        steps.throw(StatementFailed("no", sqlstate="23514"))
    assert ended.value.value == Declined("23514")


def parted(*, operation_id: UUID) -> Steps:
    """Two transactions, a statement alone, one that is refused, and a rollback."""
    yield Statement("select 1")
    yield Begin()
    rows = yield Statement("select 2")
    yield Commit()
    try:
        yield Statement("select 3")
    except StatementFailed:
        yield Rollback()
    yield Request("post", {})
    yield Statement("select 4")
    return Ok({"rows": rows})


def drive(steps: Steps, *, refusing: str = "") -> tuple[list[str], object]:
    """Return the steps, each as a word, and what comes back; each statement is answered with its own text."""
    words: list[str] = []
    answer: object = None
    failure: StatementFailed | None = None
    try:
        while True:
            step = steps.throw(failure) if failure else steps.send(answer)
            words.append(step.sql if isinstance(step, Statement) else type(step).__name__.lower())
            failure = StatementFailed("no", sqlstate="23505") if words[-1] == refusing else None
            answer = words[-1] if isinstance(step, Statement) else None
    except StopIteration as end:
        return words, end.value


PARTED = Operation("parted", parted, {})


def test_an_operation_is_put_into_one_transaction_which_ends_with_the_call() -> None:
    words, reply = drive(in_one_transaction(PARTED).steps(operation_id=UUID(int=1)))
    assert words == ["begin", "select 1", "select 2", "select 3", "request", "select 4", "commit"]
    assert reply == Ok({"rows": "select 2"})


def test_what_an_operation_rolls_back_stays_rolled_back_in_one_transaction() -> None:
    words, _ = drive(in_one_transaction(PARTED).steps(operation_id=UUID(int=1)), refusing="select 3")
    assert words == [
        "begin", "select 1", "select 2", "select 3", "rollback", "request", "begin", "select 4", "commit",
    ]  # fmt: skip


def test_an_operation_is_taken_apart_into_statements_of_their_own() -> None:
    words, reply = drive(in_parts(PARTED).steps(operation_id=UUID(int=1)), refusing="select 3")
    assert words == ["select 1", "select 2", "select 3", "request", "select 4"]
    assert reply == Ok({"rows": "select 2"})


def test_protections_of_one_text_are_told_apart_by_what_it_takes() -> None:
    def lock(sql: str, place: str = "") -> Protection:
        return Protection("lend", "for update", frozenset({"lend"}), lambda each: each, statement=Statement(sql, {}, place))

    member, title = lock("select 1 from members for update"), lock("select 1 from titles for update")
    lines = [lock(f"select {n} from titles for update", f"operations/lend.sql:{n}") for n in (8, 9)]
    assert [each.name for each in tell_apart([member])] == ["lend: for update"]
    assert [each.name for each in tell_apart([member, title])] == [
        "lend: for update on members",
        "lend: for update on titles",
    ]
    assert [each.name for each in tell_apart(lines)] == [f"lend: for update on titles (line {n})" for n in (8, 9)]
    assert len({each.name for each in tell_apart([title, title, *lines])}) == 4
