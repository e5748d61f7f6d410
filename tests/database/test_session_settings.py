"""Settings that a role or a server may have: every command works with them as with the usual ones, or says why not."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from psycopg import sql

from integrity.cli.main import main
from integrity.database.namespace import guard, inspect_database
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.postgresql.session_settings import QUESTIONS
from integrity.engines.target import Target
from integrity.errors import DatabaseError, UnsafeDatabase
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system

ODD: dict[str, Mapping[str, str]] = {
    "german dates": {"datestyle": "German"},
    "american dates": {"datestyle": "SQL, MDY"},
    "intervals": {"intervalstyle": "sql_standard"},
    "ascii": {"client_encoding": "SQL_ASCII"},
    "latin1": {"client_encoding": "LATIN1"},
    "strings": {"standard_conforming_strings": "off", "backslash_quote": "on"},
    "bytes": {"bytea_output": "escape"},
    "floats": {"extra_float_digits": "-15"},
    "names": {"quote_all_identifiers": "on"},
    "time zone": {"timezone": "<+0543>-05:43"},
    "a millisecond": {"statement_timeout": "1ms", "lock_timeout": "1ms"},
    "idle": {"idle_in_transaction_session_timeout": "30ms"},
    "transactions": {"default_transaction_isolation": "serializable", "default_transaction_deferrable": "on"},
    "jit": {"jit": "on", "jit_above_cost": "0", "jit_optimize_above_cost": "0", "jit_inline_above_cost": "0"},
    "search path": {"search_path": "hostile, pg_catalog"},
}
ALL_AT_ONCE = {name: value for settings in ODD.values() for name, value in settings.items()}
ALL_AT_ONCE["search_path"] = "worse, hostile, pg_catalog"

# Whatever of PostgreSQL's own we name without its schema would be found here first.
HOSTILE = """
create schema hostile;
create view hostile.pg_class as select * from pg_catalog.pg_class where false;
create view hostile.pg_namespace as select * from pg_catalog.pg_namespace where false;
create view hostile.pg_depend as select * from pg_catalog.pg_depend where false;
create function hostile.current_database() returns pg_catalog.text language sql as 'select ''elsewhere''::pg_catalog.text';
create schema worse;
create domain worse.text as pg_catalog.int4;
create domain worse.jsonb as pg_catalog.int4;
create function worse.never(name, name) returns boolean language sql immutable as 'select false';
create operator worse.= (function = worse.never, leftarg = name, rightarg = name);
"""

Role = Callable[[Target, Mapping[str, str]], Target]


@pytest.fixture(scope="module")
def odd_role(server: EmbeddedServer) -> str:
    """A role; what it makes stays for as long as the server, and so does the role."""
    name = "odd_role"
    with closing(server.target.connect()) as admin:
        admin.execute(f"create role {name} login superuser".encode())
    return name


@pytest.fixture
def as_role(server: EmbeddedServer, odd_role: str) -> Iterator[Role]:
    """Give the same database to a role that has settings of its own."""

    def change(target: Target, settings: Mapping[str, str]) -> Target:
        with closing(server.target.connect()) as admin:
            for name, value in settings.items():
                said = sql.SQL(value) if name == "search_path" else sql.Literal(value)
                admin.execute(
                    sql.SQL("alter role {} set {} = {}").format(sql.Identifier(odd_role), sql.Identifier(name), said)
                )
        return Target(target.url.set(username=odd_role))

    yield change
    with closing(server.target.connect()) as admin:
        admin.execute(f"alter role {odd_role} reset all".encode())


@pytest.fixture(scope="module")
def template(server: EmbeddedServer) -> Iterator[str]:
    name = "test_session_settings_template"
    with closing(server.target.connect()) as admin:
        admin.execute(f"create database {name}".encode())
        target = Target(server.target.url.set(database=name))
        sizes = {"wallets": 40}
        seed_system(target, guard(target, None), GHOSTPASS, sizes=sizes, seed=1, mode=Mode.NEW)
        with closing(target.connect()) as connection:
            connection.execute(HOSTILE.encode())
        yield name
        admin.execute(f"drop database {name}".encode())


@pytest.fixture
def venue(template: str, make_database: Callable[[str | None], Target]) -> Target:
    return make_database(template)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)

    def run(target: Target, command: str, *arguments: str) -> tuple[int, str, str]:
        """Run a command; one that asks whose the database is, which holds what is in front, is told."""
        name = target.url.database or ""
        told = ("--yes-this-is-a-test-database", name) if command in ("run", "race", "seed", "snapshot") else ()
        with pytest.raises(SystemExit) as ended:
            main([command, *arguments, *told, "--database", target.text])
        printed = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return run


Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("settings", ODD.values(), ids=ODD)
def test_an_audit_says_the_same_whatever_the_role_prefers(
    venue: Target, as_role: Role, run: Run, settings: Mapping[str, str]
) -> None:
    with closing(venue.connect()) as connection:
        connection.execute(b"update ghostpass.wallets set balance_minor = balance_minor + 1 where id = 1")
    usual = run(venue, "validate", "--system", "ghostpass", "--json")
    odd = run(as_role(venue, settings), "validate", "--system", "ghostpass", "--json")
    assert (odd[0], usual[0]) == (1, 1), odd[2]
    found, expected = json.loads(odd[1]), json.loads(usual[1])
    for judged, other in zip(found["invariants"], expected["invariants"], strict=True):
        assert (judged["name"], judged["verdict"], judged["rows"]) == (other["name"], other["verdict"], other["rows"])


def allowed(venue: Target, command: str) -> tuple[str, ...]:
    """The venue holds what is not ours: what stands in front of the catalogue."""
    return ("--yes-this-is-a-test-database", str(venue.url.database)) if command in ("run", "seed", "snapshot") else ()


@pytest.mark.parametrize(
    "command",
    [
        ("run", "hammer", "--system", "ghostpass", "--duration", "1s", "--clients", "2"),
        ("race", "ghostpass", "sell", "sell", "--schedule", "AB"),
        ("health", "--system", "ghostpass"),
        ("seed", "--system", "ghostpass", "--replace", "--wallets", "20"),
        ("snapshot", "odd"),
        ("rollback", "--yes"),
    ],
    ids=lambda command: command[0],
)
def test_every_command_works_with_all_of_them_at_once(
    venue: Target, as_role: Role, run: Run, command: tuple[str, ...]
) -> None:
    code, out, err = run(as_role(venue, ALL_AT_ONCE), *command, *allowed(venue, command[0]))
    assert code == 0, out + err


def test_a_role_whose_transactions_are_read_only_audits_and_is_told_why_it_cannot_run(
    venue: Target, as_role: Role, run: Run
) -> None:
    reader = as_role(venue, {"default_transaction_read_only": "on"})
    assert run(reader, "validate", "--system", "ghostpass")[0] == 0
    for command in (
        ("seed", "--system", "ghostpass", "--replace", "--wallets", "20"),
        ("run", "smoke", "--system", "ghostpass", "--duration", "1s"),
        ("race", "ghostpass", "sell", "sell", "--schedule", "AB"),
    ):
        code, _, err = run(reader, *command, *allowed(venue, command[0]))
        assert (code, "read-only transaction" in err, "Traceback" in err) == (2, True, False), err


def test_a_view_in_front_of_the_catalogue_hides_no_table(venue: Target, as_role: Role) -> None:
    with closing(venue.connect()) as connection:
        connection.execute(b"create table public.customers (id integer)")
    with pytest.raises(UnsafeDatabase, match=r"public\.customers"):
        guard(as_role(venue, ALL_AT_ONCE), None)


def test_a_lock_on_our_notes_is_waited_for_no_longer_than_the_limit(venue: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(QUESTIONS, "lock_timeout", "50ms")
    with closing(venue.connect()) as other, other.transaction():
        other.execute(b"lock table integrity.notes in access exclusive mode")
        with pytest.raises(DatabaseError, match="lock timeout") as refused:
            inspect_database(venue)
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("Another session")
