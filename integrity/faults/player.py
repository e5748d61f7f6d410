"""The player: injects the faults of a schedule while a run goes on, heals them, and writes down what it did.

`faults.jsonl` in the run's folder has two lines a window, one when it was injected and one when it was healed; so a run
that was killed in between shows what was going on. A window whose turn comes late, because the one before it took its
time to heal, is as much shorter. When the run ends, whatever is still in force is healed at once.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

import orjson

from integrity.errors import HistoryError
from integrity.faults.scene import Scene
from integrity.faults.schedule import Window
from integrity.project import open_for_us_only

FAULTS_FILE = "faults.jsonl"


@dataclass(frozen=True, slots=True)
class PlayedFault:
    """What became of a window.

    Args:
        from_us, to_us: when it was injected, and when its end was begun; microseconds since the epoch.
        healed_us: when that was done.
        counts: what it did, e.g. {"connections reset": 4}.
    """

    window: Window
    from_us: int
    to_us: int
    healed_us: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """A line of the file: a window has begun.

    Args:
        asked: as it was given.
        number: of the window, in the order of their beginnings.
    """

    event: Literal["injected"] = "injected"
    fault: str
    arguments: Mapping[str, float | str]
    asked: str
    at_us: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """Another: its end was begun at at_us, and done at healed_us; counts: what it did."""

    event: Literal["healed"] = "healed"
    fault: str
    arguments: Mapping[str, float | str]
    asked: str
    at_us: int
    number: int
    healed_us: int
    counts: Mapping[str, int]


async def _nothing() -> None:
    """Tell nobody."""


class Player:
    """Plays windows.

    Args:
        scene: what they act on.
        file: where they are written down.
        now_us: the run's clock.
        may_overlap: as read_schedule takes it; else the next waits until the one before is healed.
        failed: told when a fault could not be injected or healed; `finish` raises the reason.
        turned: done when a fault is about to come in force, and when one is not any more, before it is asked what it did.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        scene: Scene,
        *,
        seed: int,
        file: Path,
        now_us: Callable[[], int],
        may_overlap: bool,
        failed: Callable[[], None],
        turned: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self.played: list[PlayedFault] = []
        self.began_us = 0
        """From when the windows count."""
        self.current: list[str] = []
        """The faults in force, by name."""
        self._windows = windows
        self._scene = scene
        self._seed = seed
        self._file = file
        self._now_us = now_us
        self._turn: Any = nullcontext() if may_overlap else asyncio.Lock()
        self._failed = failed
        self._turned = turned
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_active(self) -> bool:
        """Whether a fault is in force."""
        return bool(self.current)

    def start(self) -> None:
        """Begin: the windows count from now."""
        began, self.began_us = asyncio.get_running_loop().time(), self._now_us()
        self._tasks = [asyncio.create_task(self._play(number, w, began)) for number, w in enumerate(self._windows)]
        for task in self._tasks:
            task.add_done_callback(self._look_after)

    async def finish(self) -> None:
        """Heal what is in force, and inject nothing more.

        Raises:
            AuditError: a fault could not be injected or healed.
        """
        self._over.set()
        if self._tasks:
            await asyncio.gather(*self._tasks)
        self.played.sort(key=lambda played: played.from_us)

    async def _play(self, number: int, window: Window, began: float) -> None:
        if await self._is_over(began + window.from_s):
            return
        async with self._turn:
            if self._over.is_set() or asyncio.get_running_loop().time() >= began + window.to_s:
                return
            await self._inject(number, window, began)

    async def _inject(self, number: int, window: Window, began: float) -> None:
        scene = replace(self._scene, counts=Counter(), random=Random(f"{self._seed}/faults/{number}"))
        from_us = to_us = self._now_us()
        said: dict[str, Any] = {
            "fault": window.fault.name,
            "arguments": window.given,
            "asked": window.text,
            "number": number,
        }
        self._write(Injected(**said, at_us=from_us))
        self.current.append(window.fault.name)
        await self._turned()
        before = self._counts()
        try:
            async with window.fault.inject(scene, window.given):
                await self._is_over(began + window.to_s)
                to_us = self._now_us()
        finally:
            self.current.remove(window.fault.name)
            await self._turned()
        healed_us = self._now_us()
        counts = dict(scene.counts + (self._counts() - before))
        self._write(Healed(**said, at_us=to_us, healed_us=healed_us, counts=counts))
        self.played.append(PlayedFault(window, from_us, to_us, healed_us, counts))

    def _counts(self) -> Counter[str]:
        """Return what the gates and the changed conduct have done so far."""
        proxy = self._scene.proxy
        return self._scene.conduct.counts + (proxy.counts if proxy is not None else Counter[str]())

    async def _is_over(self, until: float) -> bool:
        """Wait until that moment; return whether the run was over before."""
        try:
            async with asyncio.timeout_at(until):
                await self._over.wait()
        except TimeoutError:
            return False
        return True

    def _look_after(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._failed()

    def _write(self, line: Injected | Healed) -> None:
        try:
            with open(self._file, "ab", opener=open_for_us_only) as file:
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise HistoryError(f"{self._file}: cannot be written: {error.strerror}") from None
