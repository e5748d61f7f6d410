"""Conduct: how clients, services and devices of a run behave at the moment. The workload looks at it again at every turn,
so a fault that changes it counts from the next request on, and no longer than it is meant to.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from integrity.systems.service import ServiceSettings

EVERY = "all"
"""In place of a service's name."""

_Layer = tuple[str | None, Mapping[str, Any]]  # (service, its settings) or (None, attributes)


OF_CLIENTS = (
    "abandon_share",
    "disconnect_share",
    "cut_share",
    "replay_share",
    "replay_s",
    "patience_s",
    "session_settings",
    "offline",
)
"""What of it clients go by; the rest is about services and the server."""


class Conduct:
    """What the workload looks at. Of two changes at a time the later counts, and each ends by itself.

    Args:
        services: how they behave by the profile; those that are not named behave well.
        names: all services of the system.
    """

    services: Mapping[str, ServiceSettings]
    """How each service behaves."""
    abandon_share: float = 0.0
    """Of all calls: the client dies half way. The profile's own shares count where they are larger."""
    disconnect_share: float = 0.0
    """Of a subscriber's looks: its stream is cut. The profile's own counts where it is larger."""
    cut_share: float = 0.0
    """Of the streams that are open as this rises: they are cut at that moment, and once."""
    replay_share: float = 0.0
    """Of webhooks that were answered: they come once more, after replay_s."""
    replay_s: float = 0.0
    patience_s: float | None = None
    """After so long without an answer a client gives up and hangs up; None: it waits for ever."""
    session_settings: Mapping[str, str] = {}
    """PostgreSQL settings of the run's connections; replaced as a whole, never changed in place."""
    offline: Mapping[str, frozenset[Any]] = {}
    """Argument -> values: the devices that are switched off. Their calls do not reach the system."""
    is_down: bool = False
    """Whether the server is meant to be down: nobody starts it then."""

    def __init__(self, services: Mapping[str, ServiceSettings], names: Mapping[str, Any]) -> None:
        self._profile = {name: services.get(name, ServiceSettings()) for name in names}
        self._layers: list[_Layer] = []
        self.counts: Counter[str] = Counter()
        """What came of the changes, e.g. "calls given up on": 4."""
        self.changed_to: Callable[[Mapping[str, Any]], None] = lambda _state: None
        """Told how clients behave, when that has changed, where others than this process make calls."""
        self._apply()

    @contextmanager
    def changed_service(self, name: str, **settings: Any) -> Iterator[None]:
        """Change settings of that service, or of every one, for a while."""
        with self._layer((name, settings)):
            yield

    @contextmanager
    def changed(self, **attributes: Any) -> Iterator[None]:
        """Change attributes for a while."""
        with self._layer((None, attributes)):
            yield

    def note_reaction(self, service: str, answer: Mapping[str, Any], webhook_count: int) -> None:
        """Count what a service did, while it behaves otherwise than the profile says."""
        if self.services[service] is self._profile[service]:
            return
        self.counts[f"requests to {service}"] += 1
        if answer.get("status") in ("timeout", "error"):
            self.counts[f"{service} answered with {answer.get('code', 'nothing at all')}"] += 1
        if webhook_count:
            self.counts["webhooks"] += webhook_count

    def note_disconnect(self) -> None:
        """Count a stream that was cut, while more are than the profile says."""
        if self.disconnect_share or self.cut_share:
            self.counts["streams cut"] += 1

    def is_offline(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether a call with these arguments comes from a device that is switched off."""
        return any(arguments.get(name) in keys for name, keys in self.offline.items())

    @contextmanager
    def _layer(self, layer: _Layer) -> Iterator[None]:
        self._layers.append(layer)
        self._apply()
        try:
            yield
        finally:
            self._layers = [other for other in self._layers if other is not layer]
            for name in layer[1] if layer[0] is None else ():
                delattr(self, name)  # back to the default, unless another change says otherwise
            self._apply()

    def _apply(self) -> None:
        services = dict(self._profile)
        for name, values in self._layers:
            if name is None:
                for attribute, value in values.items():
                    setattr(self, attribute, value)
            else:
                for service in services if name == EVERY else (name,):
                    services[service] = replace(services[service], **values)
        self.services = services
        self.changed_to({name: getattr(self, name) for name in OF_CLIENTS})
