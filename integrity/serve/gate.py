"""The gate of a server's streams: who may open one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection

from integrity.endpoints.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may open a stream; each raises BadRequest at who may not.

    Args:
        admit: returns what the token of a request says.
        check_key: wants the service's key alone, where it has one.
        read_token: returns what a token says that came later; empty: the one of the request.
    """

    admit: Callable[[HTTPConnection, Endpoint], Mapping[str, Any]]
    check_key: Callable[[HTTPConnection], None]
    read_token: Callable[[HTTPConnection, str], Mapping[str, Any]]
