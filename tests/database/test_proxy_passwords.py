"""Whoever the server lets in, it lets in through the proxy: by SCRAM, by MD5, by nothing; in the protocol's versions."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Timer
from typing import Any

import psycopg
import pytest
from psycopg import sql

from integrity.engines.target import Target
from integrity.jobs.calls_raced import NotHeld
from integrity.jobs.race_calls import CallRace

METHODS = {"scram-sha-256": "scram-sha-256", "md5": "md5", "trust": "scram-sha-256"}
FIRST_WITH_3_2 = 180_000
PASSWORD = "it's a secret"


@pytest.fixture
def roles(database: Target) -> Iterator[dict[str, Target]]:
    """The database as roles reach it that the server asks for passwords in different ways."""
    names = {method: f"by_{method.partition('-')[0]}_{os.getpid()}" for method in METHODS}
    with closing(database.connect()) as connection:
        connection.autocommit = True
        connection.execute(b"create table wallets (id int primary key, balance int); insert into wallets values (1, 9)")
        file = Path(str(connection.execute(b"show hba_file").fetchall()[0][0]))
        kept = file.read_text()
        for method, name in names.items():
            connection.execute(f"set password_encryption = '{METHODS[method]}'".encode())
            create = sql.SQL("create role {} superuser login password {}")
            connection.execute(create.format(sql.Identifier(name), sql.Literal(PASSWORD)))
        try:
            file.write_text("".join(f"local all {name} {method}\n" for method, name in names.items()) + kept)
            connection.execute(b"select pg_reload_conf()")
            yield {method: Target(database.url.set(username=name, password=PASSWORD)) for method, name in names.items()}
        finally:
            file.write_text(kept)
            connection.execute(b"select pg_reload_conf()")
            for name in names.values():
                connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_functions_are_raced_by_roles_with_passwords_of_every_kind(roles: dict[str, Target]) -> None:
    for method, target in roles.items():
        with CallRace(target, test_database=target.url.database) as race:

            def pay(race: CallRace = race) -> None:
                with psycopg.connect(race.url) as connection:
                    ((balance,),) = connection.execute("select balance from wallets").fetchall()
                    connection.execute("update wallets set balance = %s", (balance - 1,))

            with pytest.raises(NotHeld, match="lost update"):
                race(pay).holds()
            if method != "trust":
                with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                    psycopg.connect(race.url, password="another")


def test_the_newest_version_of_the_protocol_passes_and_so_does_its_longer_key(database: Target) -> None:
    """From libpq 18 on, at servers from version 18 on: the key with which a statement is cancelled has 32 bytes."""
    with closing(database.connect()) as setup:
        setup.execute(b"create table wallets (id int primary key, balance int); insert into wallets values (1, 9)")
        ((version,),) = setup.execute(b"select current_setting('server_version_num')::int").fetchall()
        setup.commit()
    if min(psycopg.pq.version(), version) < FIRST_WITH_3_2:
        pytest.skip("libpq and server are older than version 18")
    with CallRace(database, test_database=database.url.database) as race:

        def connect() -> "psycopg.Connection[Any]":
            return psycopg.connect(race.url, min_protocol_version="3.2", max_protocol_version="3.2")

        def pay() -> None:
            with connect() as connection:
                ((balance,),) = connection.execute("select balance from wallets").fetchall()
                connection.execute("update wallets set balance = %s", (balance - 1,))

        with pytest.raises(NotHeld, match="lost update"):
            race(pay).holds()
        with connect() as connection:
            Timer(0.05, connection.cancel_safe).start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute("select pg_sleep(20)")
