"""Where the processes of a run wait for each other: none goes on before all have come, but for those that are gone."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any


class Gathering:
    """Gathers processes, by their numbers, at one stage after another."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._living = set(numbers)
        self._here: dict[str, dict[int, tuple[Any, asyncio.Future[Any]]]] = {}
        self._awaited: dict[str, asyncio.Future[None]] = {}

    @property
    def living(self) -> frozenset[int]:
        """Those that are not gone."""
        return frozenset(self._living)

    def reach(self, number: int, stage: str, said: Any = None) -> "asyncio.Future[Any]":
        """One has come, and says something; return what is to hold its answer."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._here.setdefault(stage, {})[number] = said, answer
        self._look(stage)
        return answer

    async def all_at(self, stage: str) -> dict[int, Any]:
        """Return what all have said that came, when all have come that are not gone."""
        awaited = self._awaited[stage] = asyncio.get_running_loop().create_future()
        self._look(stage)
        await awaited
        return {number: said for number, (said, _) in sorted(self._here.get(stage, {}).items())}

    def let_go(self, stage: str, answer_to: Callable[[int], Any] = lambda _number: None) -> None:
        """Let those that are at a stage go on, each with an answer; the stage begins anew."""
        for number, (_, answer) in self._here.pop(stage, {}).items():
            if not answer.done():
                answer.set_result(answer_to(number))

    def lose(self, number: int) -> None:
        """One is gone: nobody waits for it any more."""
        self._living.discard(number)
        for stage in list(self._awaited):
            self._look(stage)

    def _look(self, stage: str) -> None:
        awaited = self._awaited.get(stage)
        if awaited is not None and not awaited.done() and self._living <= self._here.get(stage, {}).keys():
            awaited.set_result(None)
