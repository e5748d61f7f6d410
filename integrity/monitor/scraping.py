"""Metrics that an application tells of itself, as Prometheus reads them (text format 0.0.4), scraped beside the samples.

Of each family the sum over its labels is kept, and of one with a label or two each of their values apart
(`db_pool_connections` by its state); of a histogram its count and sum. What a scrape comes to nothing by is told, and never
a figure.
"""

import http.client
import re
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from math import isfinite

METRICS_PATH = "/metrics"
TIMEOUT_S = 2.0
BYTES_MOST = 4 * 1024 * 1024
LABELS_MOST = 2
SERIES_MOST = 400
"""Kept of a scrape; the others are left out, and that is told."""

CONNECTIONS, TASKS, GIVEN_UP = "ws_clients_connected", "background_tasks_owed", "background_tasks_given_up"
CALLS = "operation_calls_total"
LAG_S, POOL = "event_loop_lag_seconds", "db_pool_connections"
"""What servers of ours call what limits are on; a server that tells nothing under a name is held to nothing by it."""

_LINE = re.compile(r"(?P<name>[A-Za-z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_BUCKET = "_bucket"


class Unscraped(Exception):
    """A scrape came to nothing; `str` says why."""


@dataclass(frozen=True, slots=True)
class MetricsSource:
    """Where metrics are told.

    Args:
        path: with its query.
        user, password: of whoever asks; never shown.
        is_asked_for: by name: that it tells nothing is a finding then, and else a note.
    """

    host: str
    port: int
    path: str = METRICS_PATH
    is_tls: bool = False
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    is_asked_for: bool = True

    def __str__(self) -> str:
        """The URL, without its password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{host}:{self.port}{self.path}"

    def scrape(self) -> dict[str, float]:
        """Return what is told now.

        Raises:
            Unscraped: nothing, or nothing that can be read.
        """
        connect = http.client.HTTPSConnection if self.is_tls else http.client.HTTPConnection
        connection = connect(self.host, self.port, timeout=TIMEOUT_S)
        try:
            basic = b64encode(f"{self.user}:{self.password}".encode()).decode()
            connection.request("GET", self.path, headers={"Authorization": f"Basic {basic}"} if self.user else {})
            answer = connection.getresponse()
            told = answer.read(BYTES_MOST + 1)
        except (OSError, http.client.HTTPException, ssl.SSLError) as error:
            raise Unscraped(f"{self}: {getattr(error, 'strerror', None) or error or type(error).__name__}") from None
        finally:
            connection.close()
        if answer.status != 200:
            raise Unscraped(f"{self} was answered with HTTP {answer.status}")
        if len(told) > BYTES_MOST:
            raise Unscraped(f"{self} tells more than {BYTES_MOST // 1024 // 1024} MB")
        return parse(told.decode("utf-8", "replace"), place=str(self))


def series(name: str, **labels: str) -> str:
    """Return what a series is called in a scrape."""
    said = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{said}}}"


def parse(text: str, *, place: str) -> dict[str, float]:
    """Return the series of a scrape, by name or name{label="value"}.

    Raises:
        Unscraped: a line of it is none of the format's.
    """
    found: dict[str, float] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        said = _LINE.fullmatch(line.strip())
        try:
            value = float(said["value"]) if said is not None else None
        except ValueError:
            value = None
        if said is None or value is None:
            raise Unscraped(f"{place}: line {number} is none of Prometheus's text format")
        if said["name"].endswith(_BUCKET) or not isfinite(value):
            continue
        found[said["name"]] = found.get(said["name"], 0.0) + value
        labels = _LABEL.findall(said["labels"] or "")
        if 1 <= len(labels) <= LABELS_MOST and len(found) < SERIES_MOST:
            found[series(said["name"], **dict(labels))] = value
    return dict(list(found.items())[:SERIES_MOST])
