"""What is watched of the application that a run asks over HTTP, beside what somebody names: its process and its metrics."""

from integrity.http.origin import Origin, find_origin
from integrity.monitor.listening import find_listener
from integrity.monitor.scraping import METRICS_PATH, MetricsSource
from integrity.monitor.watched import WatchedApplication
from integrity.project import Project

SERVER = "server"
"""What the process is called that listens where a run's calls go."""


def find_metrics(given: str, project: Project) -> MetricsSource:
    """Return where metrics are scraped: at a URL with its path, or at /metrics of a URL without one.

    Raises:
        UsageError: it is no URL, or may not be asked.
    """
    return _metrics_of(find_origin(given, project, place="--metrics"), is_asked_for=True)


def with_target(watched: WatchedApplication, origin: Origin | None) -> WatchedApplication:
    """Return what is watched, with the process that listens there on this machine, and what it tells of itself."""
    if origin is None:
        return watched
    found = find_listener(origin.port, name=SERVER) if origin.is_loopback else None
    return watched.beside(found, _metrics_of(origin, is_asked_for=False))


def _metrics_of(origin: Origin, *, is_asked_for: bool) -> MetricsSource:
    path = origin.path if is_asked_for and origin.path else f"{origin.path}{METRICS_PATH}"
    return MetricsSource(
        origin.host, origin.port, path, origin.is_tls, origin.user, origin.password, is_asked_for=is_asked_for
    )
