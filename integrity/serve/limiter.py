"""The limiter: so many requests a window and token, exactly."""

from collections.abc import Hashable

from integrity.endpoints.table import Limit


class Limiter:
    """Counts requests of a window; who has made all that he may is told so, and nobody else notices."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._window = -1
        self._counts: dict[Hashable, int] = {}

    def admits(self, path: str, who: Hashable, *, now_s: float) -> bool:
        """Count a request, and return whether it may go on."""
        if not path.startswith(self.limit.path):
            return True
        window = int(now_s // self.limit.window_s)
        if window != self._window:
            self._window, self._counts = window, {}
        count = self._counts.get(who, 0)
        if count >= self.limit.count:
            return False
        self._counts[who] = count + 1
        return True
