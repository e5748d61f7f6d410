"""Secrets in what others wrote become ***, whatever stands around them, and the rest of it stays to be read."""

import pytest

from integrity.endpoints.login import API_KEY_NAMES, BYPASS_NAME, PASSWORD_NAMES, SERVICE_KEY_NAMES
from integrity.endpoints.signature import SIGNING_NAMES, sign
from integrity.masking import SECRET_NAMES, mask_reply, mask_spelt, mask_tokens

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl"
SIGNED = sign(b"x", "k", now_s=1)
PLANTED = {
    f"Authorization: Bearer {JWT}": "Authorization: ***",
    f'{{"authorization": "Bearer {JWT}", "status": 500}}': '{"authorization": "***", "status": 500}',
    "the token Bearer abcdef.123456 is old": "the token Bearer *** is old",
    f"token {JWT} is none of ours": "token *** is none of ours",
    "Cookie: session=planted; other=1": "Cookie: ***",
    "{'Set-Cookie': 'session=planted; Path=/', 'a': 1}": "{'Set-Cookie': '***', 'a': 1}",
    r'{"body": "{\"password\":\"planted\",\"a\":1}"}': r'{"body": "{\"password\":\"***\",\"a\":1}"}',
    '{"access_token": "planted", "expires_in": 60}': '{"access_token": "***", "expires_in": 60}',
    "apikey=planted": "apikey=***",
    "key sk_test_51planted refused": "key *** refused",
    f"webhook-signature: {SIGNED}": "webhook-signature: ***",
    f"bad signature {SIGNED}": f"bad signature {SIGNED.partition(',')[0]},***",
    "x-loadtest-bypass: planted": "x-loadtest-bypass: ***",
    "wrong password planted-1": "wrong password ***",
}
PLAIN = (
    "password authentication failed for user shop",
    "no token was sent",
    "relation wallet.keys does not exist",
    "the bearer token is none of ours, or too old: log in again",
    "the header Authorization must be Bearer and a token",
    "a cookie jar",
    "it goes out as Basic authorization, or as bearer whoever",
)


@pytest.mark.parametrize("text", PLANTED)
def test_a_planted_secret_is_hidden_and_what_stands_around_it_is_not(text: str) -> None:
    environment = {"LOADTEST_PASSWORD": "planted-1"}
    assert mask_tokens(text, environment) == PLANTED[text]
    assert mask_tokens(PLANTED[text], environment) == PLANTED[text]


@pytest.mark.parametrize("text", PLAIN)
def test_what_only_speaks_of_secrets_stays(text: str) -> None:
    assert mask_tokens(text) == mask_spelt(text) == text


def test_a_reply_is_itself_unless_it_holds_one() -> None:
    plain = {"paid_minor": 7, "rows": [{"token": 5, "note": "no secret"}]}
    assert mask_reply(plain) is plain
    given = {"access_token": "x", "note": f"as Bearer {JWT}", "rows": [{"cookie": "a=1", "id": 3}]}
    assert mask_reply(given) == {"access_token": "***", "note": "as Bearer ***", "rows": [{"cookie": "***", "id": 3}]}


def test_what_we_tell_somebody_to_type_stays_to_be_typed() -> None:
    told = "curl -H 'Authorization: Bearer ${TOKEN}' -b 'session={session}' --password PASSWORD"
    assert mask_spelt(told) == told
    assert mask_spelt(f"curl -H 'Authorization: Bearer {JWT}'") == "curl -H 'Authorization: Bearer ***'"


def test_every_secret_that_is_read_from_the_environment_is_known() -> None:
    assert {*PASSWORD_NAMES, *API_KEY_NAMES, *SERVICE_KEY_NAMES, BYPASS_NAME, *SIGNING_NAMES} == set(SECRET_NAMES)
