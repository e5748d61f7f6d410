"""Secrets in what is declared become variables, in every place that one can stand; what is none stays."""

from typing import Any

import pytest

from integrity.http.secrets import Secrets, hidden_in

SECRET = "x7secret"


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("headers", {"Authorization": SECRET}),
        ("headers", {"X-Api-Key": SECRET}),
        ("cookies", {"sid": SECRET}),
        ("cookies", [f"sid={SECRET}; Path=/"]),
        ("json", {"user": {"password": SECRET}}),
        ("form", {"csrf_token": SECRET}),
        ("env", {"SECRET_KEY": SECRET}),
        ("values", {"api_key": SECRET}),
        ("command", f"PGPASSWORD={SECRET} flask run"),
        ("command", f"flask run --token {SECRET}"),
        ("command", f"SECRET_KEY='{SECRET}' flask run"),
        ("url", f"http://ann:{SECRET}@127.0.0.1:8000"),
        ("requests", [f"POST /login name=ann&password={SECRET}"]),
        ("requests", [f'POST /login {{"name": "ann", "password": "{SECRET}"}}']),
        ("requests", [f"curl /pay -H 'Authorization: Bearer {SECRET}'"]),
        ("requests", [f"curl /pay -H 'Cookie: a={SECRET}; b=2' -d x=1"]),
        ("requests", [f"curl /pay -b 'a={SECRET}'"]),
        ("requests", [f"curl /pay -uann:{SECRET}"]),
        ("requests", [f"curl /pay --oauth2-bearer {SECRET}"]),
        ("requests", [f'curl /pay -d "{{\\"password\\": \\"{SECRET}\\"}}"']),
        ("sql", f"update users set password = '{SECRET}'"),
    ],
)
def test_a_secret_is_taken_out_and_a_variable_says_what_it_was(key: str, given: Any) -> None:
    secrets = Secrets()
    taken = secrets.taken_out({key: given})
    assert SECRET not in repr(taken)
    (variable,) = secrets.values
    assert f"${{{variable}}}" in repr(taken)
    assert SECRET in secrets.values[variable]


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("requests", ['POST /pay {"wallet": {wallet}, "amount": 80}']),
        ("requests", ["POST /login name=ann&password=${SHOP_PASSWORD}", "POST /passengers passengers=2"]),
        ("requests", ['POST /login {"token": "{token}"}']),
        ("take", {"token": "$.token"}),
        ("bearer", "$.access_token"),
        ("command", "python -u app.py --port $PORT"),
        ("sql", "update users set password = md5(name)"),
        ("volatile", {"fields": ["session_token"]}),
    ],
)
def test_what_is_none_stays(key: str, given: Any) -> None:
    secrets = Secrets()
    assert secrets.taken_out({key: given}) == {key: given}
    assert not secrets.values


def test_two_secrets_of_one_name_have_a_variable_each_and_one_that_comes_twice_has_one() -> None:
    secrets = Secrets()
    secrets.taken_out([{"password": "one"}, {"password": "two"}, {"password": "one"}])
    assert secrets.values == {"RACE_PASSWORD": "one", "RACE_PASSWORD_2": "two"}


def test_what_was_seen_is_hidden_by_its_value_and_by_its_name() -> None:
    shown = hidden_in(
        [{"sql": f"select '{SECRET}'", "session_key": "abc", "n": 7, "short": "ab"}], frozenset({SECRET, "ab"})
    )
    assert shown == [{"sql": "select '***'", "session_key": "***", "n": 7, "short": "ab"}]
