"""Tables of somebody's shop, filled by `integrity seed --schema`."""

from collections.abc import Callable
from typing import Any

from integrity.engines.target import Target
from integrity.seeds.schema.fill import SchemaSeeded

SHOP = """
    create type status as enum ('open', 'paid', 'cancelled');
    create domain price as numeric(12, 2) check (value > 0);
    create table customers (
        id bigint generated always as identity primary key,
        email text not null unique check (email like '%@%'),
        created_at timestamptz not null default now(),
        invited_by bigint references customers
    );
    create table orders (
        id bigserial primary key,
        customer_id bigint not null references customers,
        status status not null,
        paid_at timestamptz,
        total price not null,
        constraint paid_has_a_time check ((status = 'paid') = (paid_at is not null))
    );
    create index on orders (customer_id);
    create table order_items (
        order_id bigint references orders,
        line integer check (line > 0),
        price numeric(10, 2) not null check (price >= 0),
        quantity integer not null check (quantity between 1 and 5),
        total numeric(12, 2) not null,
        primary key (order_id, line),
        constraint total_is_their_product check (total = price * quantity)
    );
"""

Fill = Callable[..., tuple[Target, SchemaSeeded]]


def ask(target: Target, query: str) -> list[tuple[Any, ...]]:
    with target.connect() as connection:
        return connection.execute(query.encode()).fetchall()
