"""A transaction that is interrupted leaves nothing, wherever it was."""

import pytest

from integrity.database.target import Target
from integrity.database.transaction import transaction


def _interrupt_in_the_middle(target: Target) -> None:
    with transaction(target) as connection:
        connection.exec_driver_sql("create table public.made (id int)")
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.pgconn.send_query(b"select pg_sleep(0)")  # as a COPY that Ctrl-C met before its first answer
        raise KeyboardInterrupt


def test_an_interruption_in_the_middle_of_a_statement_stays_one_and_leaves_nothing(database: Target) -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupt_in_the_middle(database)
    with database.connect() as reader:
        assert reader.execute("select to_regclass('public.made')").fetchone() == (None,)
