"""Draining: what a run waited for between its last call by plan and its end, so that a long end says why."""

from collections import Counter, defaultdict

from integrity.load.caller import Caller
from integrity.load.sweeping import Sweeping
from integrity.runs.draining import Drain, DrainedSweep, DrainedWebhooks


class Draining:
    """Watches how a run ends; made when nothing more is drawn, while calls are still under way."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._began_us = self._marked_us = caller.clock.now_us()
        under_way = caller.under_way
        self._calls = Counter(call.operation for call in under_way)
        self._awaited = Counter(call.asking.awaited for call in under_way if call.asking.awaited)
        self._webhooks: tuple[DrainedWebhooks, ...] = ()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def mark(self, part: str) -> None:
        """Say that this part of the end is over: "calls", "webhooks", "sweeps" or "streams"."""
        now_us = self._caller.clock.now_us()
        self._seconds[part] += (now_us - self._marked_us) / 1_000_000
        self._marked_us = now_us
        if part == "calls":
            self._webhooks = tuple(
                DrainedWebhooks.model_validate(each, from_attributes=True)
                for each in self._caller.deliveries.queued(now_us)
            )

    def ended(self, sweeping: Sweeping | None) -> Drain:
        """Return what it came to."""
        calls = sweeping.calls if sweeping is not None else Counter[str]()
        seconds = {f"{part}_s": round(self._seconds[part], 3) for part in ("calls", "webhooks", "sweeps", "streams")}
        return Drain(
            seconds=round((self._caller.clock.now_us() - self._began_us) / 1_000_000, 3),
            **seconds,
            calls=dict(self._calls),
            awaited=dict(self._awaited),
            webhooks=self._webhooks,
            sweeps=tuple(
                DrainedSweep(operation=name, calls=count, troubled=sweeping.troubled[name] if sweeping else 0)
                for name, count in calls.items()
            ),
        )
