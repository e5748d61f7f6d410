"""Whom a proxy lets in, and what of that the server sees."""

import pytest

from integrity.proxy.postgresql.framing import make_startup
from integrity.proxy.postgresql.session import KEY_PARAMETER, PostgresqlProtocol, options_with
from integrity.proxy.protocol import Step

VERSION = 3 << 16


@pytest.mark.parametrize(
    ("said", "is_let_in"),
    [
        ({"database": "postgres"}, False),
        ({"database": "postgres", KEY_PARAMETER: "k3y"}, True),
        ({"database": "postgres", "options": options_with("k3y", "-c work_mem=4MB")}, True),
        ({"database": "postgres", "options": options_with("other")}, False),
        ({"database": "copy_7f2a"}, True),
        ({"database": "test_copy_7f2a"}, True),
        ({"user": "copy_7f2a"}, True),
        ({"user": "postgres"}, False),
    ],
)
def test_who_has_the_key_or_knows_the_name_is_let_in_and_the_server_sees_no_key(
    said: dict[str, str], *, is_let_in: bool
) -> None:
    session = PostgresqlProtocol("k3y", database="copy_7f2a").begin()
    (message,) = session.read_client(make_startup(VERSION, said).raw)
    opening = session.open(message)
    assert (opening.step is Step.CONNECT) == is_let_in
    assert b"k3y" not in opening.message.raw
    assert "k3y" not in session.parameters.get("options", "")
    assert ("work_mem" in said.get("options", "")) == (b"work_mem=4MB" in opening.message.raw)
