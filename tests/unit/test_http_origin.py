"""Load goes to this machine, unless the project lists another: who mistypes an address hammers nobody."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from integrity.errors import UsageError
from integrity.http.origin import find_origin
from integrity.project import Project, Settings

STAGING: Mapping[str, Mapping[str, Any]] = {
    "staging": {"url": "https://load:s3cret@shop.example:8443/api/"},
    "races": {"requests": {}},
}
PROJECT = Project(Path("/shop"), Settings(targets=STAGING))


@pytest.mark.parametrize(
    ("given", "shown"),
    {
        "this machine": ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        "by its name": ("http://localhost", "http://localhost:80"),
        "by IPv6": ("http://[::1]:8000/", "http://[::1]:8000"),
        "what is listed, by its name": ("staging", "https://load:***@shop.example:8443/api"),
        "what is listed, by its URL": ("https://SHOP.example:8443/v2", "https://shop.example:8443/v2"),
        "with a token": ("http://s3cret@127.0.0.1:8000", "http://***@127.0.0.1:8000"),
        "with a password": ("http://me:s3cret@127.0.0.1:8000", "http://me:***@127.0.0.1:8000"),
    }.values(),
)
def test_an_origin_is_this_machine_or_listed_and_is_shown_without_its_password(given: str, shown: str) -> None:
    found = find_origin(given, PROJECT, place="--target")

    assert str(found) == shown
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("given", "said"),
    {
        "another machine": ("https://shop.example", "is not on this machine, and no target of /shop/integrity.toml"),
        "another port of a listed one": ("https://shop.example:9", "is not on this machine"),
        "a name that looks like this machine": ("http://127.0.0.1.shop.example:80", "is not on this machine"),
        "a name behind this machine's": ("http://127.0.0.1@shop.example:80", "http://***@shop.example:80 is not on"),
        "where servers listen": ("http://0.0.0.0:8000", "is where a server listens, and no address"),
        "a mistyped name": ("stagin", "'stagin' is no URL, and no target of integrity.toml with one"),
        "a target without a URL": ("races", "'races' is no URL, and no target"),
        "no scheme": ("127.0.0.1:8000", "is no URL of HTTP"),
        "another scheme": ("ftp://127.0.0.1/", "is no URL of HTTP"),
        "no host": ("http://", "is no URL of HTTP"),
        "no port": ("http://127.0.0.1:eighty", "is no URL of HTTP"),
        "a port that nobody has": ("http://127.0.0.1:0", "has port 0, where nobody listens"),
        "a port out of bounds": ("http://127.0.0.1:99999", "is no URL of HTTP"),
        "more than an origin": ("http://127.0.0.1/?token=s3cret", "behind http://127.0.0.1:80 stands more than a path"),
        "letters that no URL has": ("http://127.0.0.1/a b", "has letters that no URL has"),
        "nothing": ("", "is no URL of HTTP"),
    }.values(),
)
def test_what_is_no_origin_that_may_be_asked_is_refused_with_the_place_and_the_next_step(given: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_origin(given, PROJECT, place="--target")

    assert caught.value.message.startswith("--target: ")
    assert said in caught.value.message
    assert caught.value.hint
    assert "s3cret" not in str(caught.value)


def test_a_listed_url_that_is_none_is_refused_at_its_place() -> None:
    project = Project(Path("/shop"), Settings(targets={"staging": {"url": 7}}))
    with pytest.raises(UsageError, match=r"^/shop/integrity.toml: targets.staging.url: '7' is no text"):
        find_origin("http://127.0.0.1:1", project, place="--target")
