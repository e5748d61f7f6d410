"""What is seeded is what the operations themselves would have written: the same calls, played through them, row by row."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from integrity.database.namespace import create_schemas, guard
from integrity.engines.target import Target
from integrity.operation import Begin, Commit, Ok, Request, Rollback, Statement, Steps
from integrity.reference.ghostpass.operations import OPERATIONS
from integrity.reference.ghostpass.schema import METADATA
from integrity.reference.ghostpass.seeds import tables
from integrity.reference.ghostpass.seeds.day import Calls, Day, Kind, play_day
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system
from integrity.sql.parameters import number_parameters

TIMES = {"created_at", "requested_at", "settled_at", "applied_at", "scanned_at", "sold_at", "logged_at"}
NAMES = {Kind.SETTLE_FUNDING: "receive_funding_webhook"}


def test_the_same_calls_through_the_operations_leave_the_same_rows(
    make_database: Callable[[str | None], Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every table is compared, ids included; only times differ, since operations take the database's own clock."""
    days: list[Day] = []

    def keep(*arguments: Any) -> Day:
        days.append(play_day(*arguments))
        return days[-1]

    monkeypatch.setattr(tables, "play_day", keep)
    seeded, played = make_database(None), make_database(None)
    seed_system(seeded, guard(seeded, None), GHOSTPASS, sizes={"wallets": 250}, seed=7, mode=Mode.NEW)

    create_schemas(played, [GHOSTPASS])
    with closing(seeded.connect()) as source, closing(played.connect()) as connection:
        for name in ("gateways", "terminals"):
            for row in source.execute(f"select * from ghostpass.{name} order by id").fetchall():
                connection.execute(f"insert into ghostpass.{name} values ({', '.join(['%s'] * len(row))})", row)
        for row in source.execute("select code from ghostpass.wallets order by id").fetchall():
            connection.execute("insert into ghostpass.wallets (code) values (%s)", row)
        connection.execute("insert into ghostpass.presences select id, false, 0 from ghostpass.wallets")
        operation_ids = source.execute("select operation_id from ghostpass.audit_log order by id").fetchall()
        made: dict[int, int] = {}  # place of the call that made a funding or a sale -> its id
        for place, (operation_id,) in enumerate(operation_ids):
            kind = Kind(days[0].calls.kind[place])
            arguments = _arguments(kind, days[0].calls, place, made)
            reply = _drive(
                connection, OPERATIONS[NAMES.get(kind, kind.name.lower())].steps(operation_id=operation_id, **arguments)
            )
            made_id = reply.value.get("funding_id", reply.value.get("sale_id")) if isinstance(reply, Ok) else None
            if isinstance(made_id, int):
                made[place] = made_id

        for table in METADATA.sorted_tables:
            names = ", ".join(column.name for column in table.columns if column.name not in TIMES)
            rows = f"select {names} from {table.fullname} order by 1"
            assert connection.execute(rows).fetchall() == source.execute(rows).fetchall(), table.name


def _arguments(kind: Kind, calls: Calls, place: int, made: Mapping[int, int]) -> dict[str, Any]:
    wallet_id, amount_minor, where = (
        int(calls.wallet[place]) + 1,
        int(calls.amount_minor[place]),
        int(calls.place[place]) + 1,
    )
    match kind:
        case Kind.REQUEST_FUNDING:
            return {"wallet_id": wallet_id, "amount_minor": amount_minor}
        case Kind.SETTLE_FUNDING:
            funding_id = made[int(calls.about[place])]
            outcome = "payment_succeeded" if calls.is_accepted[place] else "payment_failed"
            return {"event_id": f"evt-{funding_id}", "funding_id": funding_id, "kind": outcome}
        case Kind.SCAN_IN | Kind.SCAN_OUT:
            return {"wallet_id": wallet_id, "gateway_id": where}
        case Kind.SELL:
            return {"wallet_id": wallet_id, "terminal_id": where, "amount_minor": amount_minor}
        case Kind.REFUND_SALE:
            return {"sale_id": made[int(calls.about[place])]}


def _drive(connection: "psycopg.Connection[Any]", steps: Steps) -> Any:
    """Carry an operation out on one connection and return its reply."""
    answer: Any = None
    try:
        while True:
            match steps.send(answer):
                case Begin():
                    answer = connection.execute("begin") and None
                case Commit():
                    answer = connection.execute("commit") and None
                case Rollback():
                    answer = connection.execute("rollback") and None
                case Request():
                    answer = {}
                case Statement(sql, parameters):
                    cursor = psycopg.RawCursor(connection, row_factory=dict_row)
                    text, names = number_parameters(sql)
                    cursor.execute(text, [parameters[name] for name in names])
                    answer = cursor.fetchall() if cursor.description else []
    except StopIteration as stop:
        return stop.value
