"""The job of the proxy as a tool of its own: stand in front of anybody's application, write down, let faults happen."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import IO, Any

import orjson

from integrity.engines.target import Target
from integrity.errors import HistoryError, UsageError
from integrity.events import Job
from integrity.faults.application_gate import ApplicationGate
from integrity.faults.pick import Pick, read_picks
from integrity.faults.served import ProxyOpened, Served
from integrity.load.interruption import first_signal
from integrity.project import make_folder_of, open_for_us_only
from integrity.proxy.link import Link
from integrity.proxy.postgresql.recorder import Recorder
from integrity.proxy.server import HOST, Proxy, address_of
from integrity.proxy.tls import make_context


@dataclass(frozen=True, slots=True)
class ProxyAsked:
    """What the proxy is to do.

    Args:
        port: to listen on; 0: any that is free.
        file: that takes what passes; None: none does.
        seed: of what faults draw.
        has_tls: clients that ask for encryption get it.
    """

    picks: Sequence[Pick] = ()
    port: int = 0
    file: Path | None = None
    seed: int = 0
    has_tls: bool = False
    duration_s: float | None = None


def choose(
    faults: Sequence[str], *, port: int, file: Path | None, seed: int, has_tls: bool, duration_s: float | None
) -> ProxyAsked:
    """Return what is asked for.

    Raises:
        UsageError: a fault that cannot be read, or there is such a file.
    """
    if file is not None and file.exists():
        raise UsageError(f"--record {file}: there is such a file already", hint="Name a new one.")
    return ProxyAsked(read_picks(faults, seed=seed), port, file, seed, has_tls, duration_s)


def serve(target: Target, asked: ProxyAsked) -> Job[Served]:
    """Stand in front of the database until the time is over, or Ctrl-C (or SIGTERM) ends it.

    Raises:
        UsageError: no proxy can stand in front of it, or the port is taken.
        DatabaseError: the server cannot be reached.
    """
    if not target.engine.speaks_postgresql:
        raise UsageError(
            f"{target}: {target.engine.title} has nothing on the wire that a proxy could stand in front of",
            hint="Name a PostgreSQL database: --database postgresql://user@host/name",
        )
    address = address_of(target)
    target.connect(application_name="integrity-proxy").close()  # better said now than to the application
    tls = make_context(HOST) if asked.has_tls else None
    counts: Counter[str] = Counter()
    numbers, records = count(1), count(1)
    random = Random(f"{asked.seed}/delays")
    with ExitStack() as stack:
        file = _open(stack, asked.file)

        def write(record: Any) -> None:
            next(records)
            assert file is not None
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))

        def gate_of(link: Link) -> ApplicationGate:
            number = next(numbers)
            return ApplicationGate(link, asked.picks, counts, random, Recorder(number, write) if file else None)

        proxy = Proxy(address, gate_of=gate_of, admits_all=True, tls=tls, port=asked.port, seed=asked.seed)
        loop = stack.enter_context(_loop())
        try:
            loop.run(proxy.start())
        except OSError as error:
            raise UsageError(
                f"--listen {asked.port}: nothing can listen there: {error.strerror or error}",
                hint="Name another port, or leave --listen out: then it is one that is free.",
            ) from None
        over = asyncio.Event()
        with first_signal(partial(loop.get_loop().call_soon_threadsafe, over.set)):
            yield ProxyOpened(
                str(_through(proxy, target, has_tls=asked.has_tls)),
                target.url.password is not None,
                str(target),
                asked.picks,
                asked.file,
            )
            loop.run(_wait(over, asked.duration_s))
            loop.run(proxy.close())
    statement_count = counts.pop("statements", 0)
    did = {**counts, **{what: many for what, many in proxy.counts.items() if many}}
    return Served(next(numbers) - 1, statement_count, did, asked.picks, next(records) - 1)


def _through(proxy: Proxy, target: Target, *, has_tls: bool) -> Target:
    """Return the database as the application is to name it."""
    through = proxy.target(target)
    if not has_tls:
        return through
    return Target(through.url.set(query={**through.url.query, "sslmode": "require"}))


def _open(stack: ExitStack, path: Path | None) -> IO[bytes] | None:
    if path is None:
        return None
    make_folder_of(path, option="--record")
    try:
        return stack.enter_context(open(path, "xb", buffering=0, opener=open_for_us_only))
    except OSError as error:
        raise HistoryError(f"--record {path}: cannot be written: {error.strerror}") from None


@contextmanager
def _loop() -> Iterator[asyncio.Runner]:
    """Give a loop; uvloop where that is present: its slowest answers are much faster than asyncio's."""
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner


async def _wait(over: asyncio.Event, duration_s: float | None) -> None:
    try:
        async with asyncio.timeout(duration_s):
            await over.wait()
    except TimeoutError:
        return
