"""A server of ours in a process of its own, for tests that ask it over a socket."""

import http.client
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from integrity.endpoints.answers import decode_return
from integrity.endpoints.endpoint import Endpoint
from integrity.endpoints.login import API_KEY, PASSWORD, decode_token
from integrity.endpoints.requests import encode_call
from integrity.endpoints.table import Endpoints
from integrity.engines.target import Target
from integrity.history import Returned


@dataclass
class Server:
    """A server that is running, and what it said."""

    url: str
    process: "subprocess.Popen[str]"

    def ask(self, method: str, target: str, headers: Mapping[str, str] = {}, body: bytes = b"") -> tuple[int, Any, bytes]:
        """Return status, headers by names in lower case, and body."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def call(self, endpoints: Endpoints, endpoint: Endpoint, arguments: Mapping[str, Any]) -> tuple[Returned, Any]:
        """Make a call as a client does."""
        request = encode_call(endpoint, arguments, uuid4())
        headers = {**request.headers, **({endpoints.api_key: API_KEY} if endpoints.api_key else {})}
        if request.needs_token:
            assert endpoints.login is not None
            login = endpoints.login.encode(request.claims, PASSWORD)
            status, _, said = self.ask(login.method, login.target, {**headers, **login.headers}, login.body)
            headers["authorization"] = f"Bearer {decode_token(status, said)}"
        status, told, said = self.ask(request.method, request.target, headers, request.body)
        return decode_return(status, told, said, has_events=endpoint.has_events)


@contextmanager
def serving(target: Target, folder: Path, system: str, *words: str) -> Iterator[Server]:
    """Start a server on a port that is free, and end it by force where the test has not."""
    command = [sys.executable, "-m", "integrity", "serve", system, "--port", "0", "--database", target.text, *words]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        yield Server(next((word for word in line.split() if word.startswith("http://")), line), process)
    finally:
        process.kill()
        process.communicate()
