"""What a scenario's setup says makes the rows of a schedule; what it cannot do is told with its place."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from integrity.engines.target import Target
from integrity.errors import AuditError
from integrity.http.client import Client
from integrity.http.request import Request, read_inline
from integrity.scenarios.preparing import Preparation
from integrity.scenarios.scenario import Setup
from tests.unit.http_server import Got, Reply, serving

TABLE = "create table if not exists wallets (id int)"


def _count(database: Target) -> int:
    connection = database.connect()
    try:
        return int(connection.execute("select count(*) from wallets").fetchall()[0][0])
    finally:
        connection.close()


def test_sql_of_a_file_a_function_and_a_command_make_the_rows(database: Target, tmp_path: Path) -> None:
    (tmp_path / "rows.sql").write_text(f"{TABLE};\ninsert into wallets values (1), (2)")
    (tmp_path / "made_by_scenario.py").write_text(
        "import psycopg\n\n\ndef make(url):\n    with psycopg.connect(url) as connection:\n"
        "        connection.execute('insert into wallets values (3)')\n    return {'wallet': 3}\n"
    )
    setup = Setup(sql="rows.sql", python="made_by_scenario:make", shell='test -n "$DATABASE_URL"')  # noqa: S604
    prepared = Preparation(setup, target=database, folder=tmp_path, values={"a": 1}).make()
    assert prepared.values == {"a": 1, "wallet": 3}
    assert _count(database) == 3


def _shop(got: Got) -> Reply:
    if got.path == "/login":
        return Reply(200, "{}", (("Set-Cookie", "session=s3; Path=/"),))
    return Reply(200 if got.cookies.get("session") == "s3" else 401, '{"id": 7}')


def test_requests_of_a_setup_are_sent_logged_in_and_hand_on_their_values() -> None:
    with serving(_shop) as site, Client(site.url) as client:
        requests = [Request("POST", "/wallets", takes={"wallet": "$.id"})]
        login = [read_inline("POST /login name={name}", place="login")]
        prepared = Preparation(Setup(), requests, login, values={"name": "ann"}, client=client).make()
    assert prepared.values == {"name": "ann", "wallet": 7}
    assert prepared.kept.cookies == {"session": "s3"}
    assert site.got[0].body == "name=ann"


REFUSED: Mapping[str, tuple[Setup, str]] = {
    "SQL": (Setup(sql="insert into nowhere values (1)"), 'setup.sql: the database refuses it: relation "nowhere"'),
    "a file": (Setup(sql="none.sql"), "none.sql: cannot be read: No such file"),
    "a command": (Setup(shell='echo "$DATABASE_URL"; exit 4'), "setup.shell: ended with 4"),  # noqa: S604  it is a setting
    "a module": (Setup(python="no_such_module:make"), "No module named"),
    "a function": (Setup(python="raising_by_scenario:none"), "has no attribute 'none'"),
    "an exception": (Setup(python="raising_by_scenario:make"), "raising_by_scenario.py:2, in make: ZeroDivisionError"),
    "a result": (Setup(python="raising_by_scenario:text"), "no values by name"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_setup_that_is_refused_is_told_with_its_place(database: Target, tmp_path: Path, name: str) -> None:
    (tmp_path / "raising_by_scenario.py").write_text("def make(url):\n    1 / 0\n\n\ndef text(url):\n    return 'x'\n")
    setup, said = REFUSED[name]
    with pytest.raises(AuditError) as refusal:
        Preparation(setup, target=database, folder=tmp_path, place="scenarios/pay.toml").make()
    assert said in str(refusal.value)
    assert database.text not in str(refusal.value)


def test_a_setup_without_a_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"setup\.sql: there is no database to work on"):
        Preparation(Setup(sql="select 1"), folder=tmp_path).make()
