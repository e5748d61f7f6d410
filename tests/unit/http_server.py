"""An application of a few lines on loopback, for tests of what sends requests."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Got:
    """A request that came in; names of headers are in lowercase."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def cookies(self) -> dict[str, str]:
        pairs = self.headers.get("cookie", "").split("; ")
        return dict(pair.partition("=")[::2] for pair in pairs if pair)


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    status: int = 200
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


@dataclass
class Site:
    """A server that is running, and what it got."""

    url: str
    got: list[Got] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[Got], Reply | None]) -> Iterator[Site]:
    """Serve on a free port.

    Args:
        answer: given a request; None: the connection is closed without an answer.
    """
    site = Site("")

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = Got(self.command, self.path, headers, self.rfile.read(length).decode("utf-8", "replace"))
            site.got.append(got)
            reply = answer(got)
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body.encode())))
            for name, value in reply.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body.encode())

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
