"""Clients that others wrote work against our servers: Supabase's, and those of sockets and event streams, over a cut."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from integrity.endpoints.login import API_KEY, PASSWORD
from integrity.engines.target import Target
from integrity.history import Outcome
from integrity.reference.inbox.system import INBOX
from integrity.reference.instainstru.system import INSTAINSTRU
from integrity.reference.safebox.system import SAFEBOX
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.systems.system import System
from tests.database.served import Server, serving
from tests.database.test_serve_streams import log_in, seed

SCRIPTS = Path(__file__).parents[1] / "foreign"
INSTALL_S = 180
WAIT_S = 60
"""Nothing is decided by it but that a test ends."""

pytestmark = pytest.mark.exhaustive


def run(words: Sequence[str], folder: Path, what: str) -> None:
    """Install something, or skip with what the installer says."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"{what}: there is no {words[0]} here")
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{what}: {words[0]} is not done after {INSTALL_S} s")
    if done.returncode:
        pytest.skip(f"{what} cannot be had: {done.stderr.strip()[-200:]}")


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with packages of npm, and the scripts that use them."""
    folder = tmp_path_factory.mktemp("npm")
    wanted = ("@supabase/supabase-js", "eventsource", "ws")
    run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *wanted], folder, "npm's clients")
    for script in SCRIPTS.glob("*.mjs"):
        shutil.copy(script, folder)
    return folder


@pytest.fixture(scope="session")
def sse_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Python's client of event streams, which the project itself has no use for."""
    folder = tmp_path_factory.mktemp("pip")
    run([sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), "httpx", "httpx-sse"], folder, "httpx-sse")
    return folder


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_supabase_js_logs_in_reads_counts_calls_uploads_and_listens(
    database: Target, tmp_path: Path, packages: Path, version: str
) -> None:
    business_id = seed(database, INBOX).keys["businesses"][0]
    words = [API_KEY, f"business_id.{business_id}@example.org", PASSWORD, version]
    with serving(database, tmp_path, "inbox") as server:
        done = subprocess.run(
            ["node", "supabase.mjs", server.url, *words],
            cwd=packages,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    told = {each.pop("what"): each for each in map(json.loads, done.stdout.splitlines())}
    assert "nobody has this email" in told["wrong password"]["error"]
    assert told["login"] == {"error": None, "email": words[1]}
    rows = told["list"]["data"]
    assert (told["list"]["error"], told["list"]["status"]) == (None, 200)
    assert len(rows) == told["counted"]["count"] == told["count"]["data"][0]["count"]
    times = [row["last_message_at"] or "" for row in rows]
    assert times == sorted(times, reverse=True)
    assert {row["conversation_id"] for row in told["messages"]["data"]} == {rows[0]["id"]}
    assert told["joined"] == told["joined one"] == {"status": "SUBSCRIBED", "error": None}
    assert "there is no table wallets" in told["no such table"]["error"]
    assert told["sent"]["error"] is None
    assert told["refused"] == {"status": 422}
    assert told["uploaded"]["data"]["path"] == f"{rows[0]['id']}/file"
    heard = told["heard"]["heard"]
    assert {each["name"] for each in heard} == {"all"}, "the other channel listens to another conversation"
    assert {(each["table"], each["type"]) for each in heard} == {("messages", "INSERT"), ("conversations", "UPDATE")}
    first = next(each["row"] for each in heard if each["table"] == "messages")
    assert (first["id"], first["business_id"]) == (told["sent"]["data"]["message_id"], business_id)


class Relay:
    """Passes bytes on between clients and a server, and cuts all connections at once."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_open = True
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait(WAIT_S)

    def cut(self) -> None:
        """Cut all connections, and take none until it is mended."""
        self._is_open = False
        self._loop.call_soon_threadsafe(self._abort)

    def mend(self) -> None:
        self._is_open = True

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._abort)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        listening = self._loop.run_until_complete(asyncio.start_server(self._pass, "127.0.0.1", 0))
        self.port = listening.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        listening.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._is_open:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._writers |= {writer, there_writer}
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        self._writers -= {writer, there_writer}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@contextmanager
def listening(words: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> Iterator[Callable[[], Any]]:
    """Start a client, and give what returns the next thing that it tells."""
    process = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = process.stdout
    try:
        yield lambda: json.loads(lines.readline())
    finally:
        process.kill()
        process.communicate()


def hear_over_a_cut(next_told: Callable[[], Any], relay: Relay, happen: Callable[[], None]) -> None:
    """Let something happen before, while and after a client is cut off, and want all of it heard in order and once."""
    began = next_told()["opened"]["last_sequence"]
    heard: list[int] = []
    happen()
    happen()
    while len(heard) < 2:
        heard.append(next_told()["heard"])
    relay.cut()
    happen()
    happen()
    relay.mend()
    came_back = False
    while not came_back or len(heard) < 4:
        told = next_told()
        came_back = came_back or "opened" in told
        heard += [told["heard"]] if "heard" in told else []
    happen()
    while len(heard) < 5:
        heard.append(next_told()["heard"])
    assert heard == list(range(began + 1, began + 6))


@pytest.fixture(params=["npm", "python"])
def websocket_client(request: pytest.FixtureRequest) -> tuple[list[str], Path]:
    if request.param == "npm":
        return ["node", "websocket.mjs"], request.getfixturevalue("packages")
    return [sys.executable, str(SCRIPTS / "websocket_client.py")], SCRIPTS


def test_websockets_of_npm_and_python_miss_nothing_over_a_cut(
    database: Target, tmp_path: Path, websocket_client: tuple[list[str], Path]
) -> None:
    """On the three sockets of safebox, and on streamvote's."""
    words, folder = websocket_client
    boxes, votes = seed(database, SAFEBOX).keys["wallets"], seed(database, STREAMVOTE).keys
    with serving(database, tmp_path, "safebox") as server, relayed(server) as relay:
        mine = boxes[0]
        token = log_in(server, SAFEBOX, {"wallet_id": mine})
        for path in ("/pos/ws", "/safebox/ws/status", "/safebox/ws/notify"):
            url = f"ws://127.0.0.1:{relay.port}{path}?access_token={token}"
            with listening([*words, url], folder) as next_told:
                hear_over_a_cut(next_told, relay, lambda: be_paid(server, mine))
    with serving(database, tmp_path, "streamvote") as server, relayed(server) as relay:
        event_id, voters = votes["live_events"][-1], iter(votes["wallets"])
        url = f"ws://127.0.0.1:{relay.port}/api/events/live?eventId={event_id}"
        with listening([*words, url], folder) as next_told:
            hear_over_a_cut(next_told, relay, lambda: vote(server, event_id, voters))


@pytest.fixture(params=["npm", "python"])
def sse_client(request: pytest.FixtureRequest) -> tuple[list[str], Path, dict[str, str] | None]:
    if request.param == "npm":
        return ["node", "eventsource.mjs"], request.getfixturevalue("packages"), None
    found = str(request.getfixturevalue("sse_packages"))
    return [sys.executable, str(SCRIPTS / "eventsource_client.py")], SCRIPTS, {"PYTHONPATH": found}


def test_event_sources_of_npm_and_python_come_back_with_their_last_event_id(
    database: Target, tmp_path: Path, sse_client: tuple[list[str], Path, dict[str, str] | None]
) -> None:
    words, folder, environment = sse_client
    mine = seed(database, INSTAINSTRU).keys["participants"][0]
    with serving(database, tmp_path, "instainstru") as server, relayed(server) as relay:
        call(server, INSTAINSTRU, "send_message", participant_id=mine, client_message_id="first", body="Hello")
        token = log_in(server, INSTAINSTRU, {"participant_id": mine})
        url = f"http://127.0.0.1:{relay.port}/api/messages/events?access_token={token}"
        with listening([*words, url], folder, environment) as next_told:
            hear_over_a_cut(next_told, relay, lambda: say(server, mine))


@contextmanager
def relayed(server: Server) -> Iterator[Relay]:
    relay = Relay(int(server.url.rpartition(":")[2]))
    try:
        yield relay
    finally:
        relay.close()


def call(server: Server, system: System, operation: str, **arguments: Any) -> dict[str, Any]:
    """Make a call that must be ok, and return its reply."""
    assert system.endpoints is not None
    returned, _ = server.call(system.endpoints, system.endpoints.find(operation), arguments)
    assert returned.outcome is Outcome.OK, returned
    return dict(returned.reply or {})


def say(server: Server, participant_id: Any) -> None:
    call(server, INSTAINSTRU, "send_message", participant_id=participant_id, client_message_id=f"m-{uuid4()}", body="Hello")


def be_paid(server: Server, wallet_id: Any) -> None:
    """Let a wallet ask for money, and the mint say that it was paid: to us, if it has not done so by itself."""
    assert SAFEBOX.endpoints is not None
    invoice = call(server, SAFEBOX, "create_invoice", wallet_id=wallet_id, amount_minor=100)
    confirm = SAFEBOX.endpoints.find("confirm_invoice")
    returned, _ = server.call(SAFEBOX.endpoints, confirm, {"invoice_id": invoice["invoice_id"]})
    assert returned.outcome in (Outcome.OK, Outcome.DECLINED), returned


def vote(server: Server, event_id: Any, voters: Iterator[Any]) -> None:
    """Let somebody vote who may."""
    assert STREAMVOTE.endpoints is not None
    endpoint = STREAMVOTE.endpoints.find("vote")
    for wallet_id in voters:
        given = {"wallet_id": wallet_id, "live_event_id": event_id, "choice": 1, "idempotency_key": f"k{wallet_id}"}
        if server.call(STREAMVOTE.endpoints, endpoint, given)[0].outcome is Outcome.OK:
            return
    raise AssertionError("nobody may")
