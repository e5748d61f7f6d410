"""What is wished wrongly is refused with its place, the value and the reason, and nothing that is wished is passed over."""

from pathlib import Path

from integrity.engines.target import Target
from integrity.errors import AuditError
from integrity.events import listen
from integrity.jobs.seed_schema import seed_schema
from tests.database.shop import SHOP, ask

MORE = """
    create view paid as select * from orders where status = 'paid';
    create table events (id bigint, at date not null, primary key (id, at)) partition by range (at);
    create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
    create schema other; create table other.things (id int primary key);
    create table bookings (
        starts_at timestamptz not null, ends_at timestamptz not null,
        exclude using gist (tstzrange(starts_at, ends_at) with &&)
    );
"""

COLUMN = "[tables.orders.columns.{}]\n{}"
WRONG = {
    "[tables.orders]\nrosw = 5": "FILE:2: tables.orders has no setting 'rosw'",
    "[table.orders]\nrows = 5": "FILE:1: the file has no setting 'table'",
    "[tables.orders": "FILE: cannot be read: Expected ']' at the end of a table declaration",
    'rows = 5\nschemas = "public"': "FILE:2: schemas: it must be a list, not 'public'",
    "[tables.orders]\nrows = -5": "FILE:2: tables.orders.rows: it must be at least 0, not '-5'",
    "[tables.orders]\nper = { customers = 2, events = 3 }": (
        "FILE:2: tables.orders.per: rows follow from one table, not from 2: customers, events"
    ),
    "[tables.orders]\nper = { countries = 2 }": "FILE:2: there is no table 'countries'",
    "[tables.orders]\nper = { orders = 2 }": (
        "FILE:2: how many rows public.orders gets follows from itself: public.orders per public.orders"
    ),
    "[tables.customers]\nper = { orders = 2 }\n[tables.orders]\nper = { customers = 2 }": (
        "FILE:2: how many rows public.customers gets follows from itself"
    ),
    "[tables.orders]\nrows = 5\nper = { customers = 2 }": "FILE:1: tables.orders: it says rows and per: one of them only",
    "[tables.paid]\nrows = 5": "FILE:1: 'paid' is a view, and cannot be filled",
    "[tables.events_2025]\nrows = 5": "FILE:1: 'events_2025' is a partition of public.events, and cannot be filled",
    "[tables.things]\nrows = 5": "FILE:1: 'things' is a table of the schema other, and cannot be filled",
    COLUMN.format("statsu", "skew = 1"): "FILE:1: public.orders has no column 'statsu'",
    COLUMN.format("customer_id", "values = [1, 2]"): "FILE:1: public.orders.customer_id holds what public.customers does",
    COLUMN.format("status", "nulls = 0.5"): "FILE:1: public.orders.status may not be null",
    COLUMN.format("status", "least = 5"): "FILE:1: public.orders.status is of the type public.status: least and most",
    COLUMN.format("status", "values = { open = -1, paid = 2 }"): (
        "FILE:2: tables.orders.columns.status.values.open: it must be more than 0, not '-1'"
    ),
    COLUMN.format("status", 'values = ["open", "lost"]'): (
        "public.orders (status = 'lost', paid_at): the server says of every value that was tried: invalid input value"
    ),
    COLUMN.format("total", "least = 50\nmost = 10"): (
        "FILE:1: tables.orders.columns.total: least, 50, is more than most, 10"
    ),
    COLUMN.format("total", "least = -50\nmost = -10"): "public.orders (total): none of 4,600 rows that were tried passes",
    COLUMN.format("total", "values = [5, -3]"): "public.orders (total = '-3'): none of 40 rows that were tried passes",
    COLUMN.format("paid_at", 'least = "now"'): (
        "FILE:2: tables.orders.columns.paid_at.least: it must be a whole number, a number or a day, not 'now'"
    ),
    "[tables.bookings.columns.ends_at]\nleast = 2025-01-01": "FILE:1: public.bookings.ends_at is a bound of spans",
    "[tables.customers]\nrows = 5\n[tables.customers.columns.email]\nvalues = ['a@b']": (
        "public.customers.email: 5 rows cannot all differ"
    ),
    "[tables.customers]\nrows = 5\n[tables.customers.columns.id]\nleast = 10\nmost = 12": (
        "public.customers.id: 5 rows cannot all differ, as 'customers_pkey' wants: 3 values are found"
    ),
}


def test_what_is_wished_wrongly_is_told_with_its_place_and_changes_nothing(database: Target, tmp_path: Path) -> None:
    with database.connect() as connection:
        connection.execute(f"{SHOP}; {MORE}".encode())
    told = {}
    for number, text in enumerate(WRONG):
        file = tmp_path / f"{number}.toml"
        file.write_text(text, encoding="utf-8")
        told[text] = refuse(database, file).replace(str(file), "FILE")

    assert {text: said for text, said in told.items() if not said.startswith(WRONG[text])} == {}
    assert ask(database, "select count(*) from pg_namespace where nspname = 'integrity'") == [(0,)]


def refuse(target: Target, file: Path) -> str:
    try:
        listen(seed_schema(target, file=file, rows={}, seed=1, test_database=target.url.database))
    except AuditError as error:
        return error.message
    return "filled"


def test_bounds_hold_whatever_checks_lead_to_and_for_what_must_differ(database: Target, tmp_path: Path) -> None:
    with database.connect() as connection:
        connection.execute(SHOP.encode())
    file = tmp_path / "shop.toml"
    file.write_text(
        "[tables.customers]\nrows = 20\n[tables.customers.columns.id]\nleast = 100\nmost = 119\n"
        "[tables.orders.columns.total]\nleast = 7\nmost = 9\n",
        encoding="utf-8",
    )

    listen(seed_schema(database, file=file, rows={}, seed=1, test_database=database.url.database))

    assert ask(
        database, "select min(id), max(id), (select min(total) >= 7 and max(total) <= 9 from orders) from customers"
    ) == [(100, 119, True)]
