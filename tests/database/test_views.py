"""What a race reads through a view it has read of the view's tables, whatever the view is made of."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from integrity.engines.target import Target
from integrity.systems.reflect import reflect
from integrity.systems.views import tables_of_views

SQL = """
create table rooms (id integer primary key, free integer);
create table bookings (room_id integer, guest text);
create table "Guest" (name text);
create view z_booked as select room_id, count(*) as n from bookings group by room_id;
create view a_full as select rooms.id from rooms join z_booked on z_booked.room_id = rooms.id where n > free;
create view named as select name from "Guest";
create view bare as select 1 as one;
"""


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_view_is_known_by_the_tables_below_it(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if engine == "sqlite":
        target = Target.parse(f"sqlite:///{tmp_path / 'hotel.db'}")
        with closing(sqlite3.connect(tmp_path / "hotel.db")) as connection:
            connection.executescript(SQL)
    else:
        target = request.getfixturevalue("database")
        with target.connect() as server:
            server.execute(SQL)

    assert dict(tables_of_views(reflect(target, ("public",)))) == {
        "z_booked": {"bookings"},
        "a_full": {"bookings", "rooms"},
        "named": {"Guest"},
        "bare": set(),
    }
