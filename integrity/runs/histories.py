"""The history of a run as one, however many processes wrote it, and in however many parts each.

Each process writes a chain of its own, in the order of its returns; read together they come in the order of all returns, as
one process would have written them.
"""

import heapq
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from integrity.chain import Records
from integrity.history import Call, Received, Requested, decode_calls, decode_received, decode_requested
from integrity.runs.folder import RunFolder
from integrity.runs.parts import Lines, find_parts, open_lines

Told = TypeVar("Told")


class History(Generic[Told]):
    """What the logs of one kind say, in order.

    Args:
        files: those that there must be.
        decode: reads the records of one, given the place of its process.
        moment: of what was read, by which those of several processes are put in order.
    """

    def __init__(
        self,
        files: Iterable[Path],
        decode: Callable[[Records, int], Iterator[Told]],
        moment: Callable[[Told], int],
        stack: ExitStack,
    ) -> None:
        self._decode, self._moment = decode, moment
        self._logs: list[tuple[Lines, Records]] = []
        self._are_all_here = True
        for file in files:
            if not find_parts(file):
                self._are_all_here = False
                continue
            lines = stack.enter_context(open_lines(file))
            self._logs.append((lines, Records(lines, place=str(file))))

    def __iter__(self) -> Iterator[Told]:
        """Yield all of it.

        Raises:
            HistoryError: a line that is no record.
        """
        read = [self._decode(records, place) for place, (_, records) in enumerate(self._logs)]
        return heapq.merge(*read, key=self._moment)

    @property
    def is_whole(self) -> bool:
        """Once it was read: each log is here, and was ended in good order."""
        return self._are_all_here and all(records.is_whole for _, records in self._logs)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return sum(lines.size for lines, _ in self._logs)

    def tell(self) -> int:
        """Return how many bytes have been read."""
        return sum(lines.tell() for lines, _ in self._logs)


@contextmanager
def _open(
    files: Iterable[Path], decode: Callable[[Records, int], Iterator[Told]], moment: Callable[[Told], int]
) -> Iterator[History[Told]]:
    with ExitStack() as stack:
        yield History(files, decode, moment, stack)


def open_calls(folder: RunFolder) -> AbstractContextManager[History[Call]]:
    """Give the calls of a run: each where its return is, those without one last.

    Raises:
        HistoryError: the settings cannot be read, which say how many processes there were.
    """
    return _open(
        folder.files_of(folder.history),
        lambda records, _: decode_calls(records),
        lambda call: sys.maxsize if call.returned_at_us is None else call.returned_at_us,
    )


def open_requests(folder: RunFolder) -> AbstractContextManager[History[tuple[int, Requested]]]:
    """Give the requests of a run with their numbers, from 1 on, which go round the processes. Raises as open_calls."""
    files = folder.files_of(folder.requests)

    def decode(records: Records, place: int) -> Iterator[tuple[int, Requested]]:
        for number, request in decode_requested(records):
            yield (number - 1) * len(files) + place + 1, request

    return _open(files, decode, lambda each: each[1].returned_at_us or each[1].at_us)


def open_received(folder: RunFolder) -> AbstractContextManager[History[Received]]:
    """Give what subscribers of a run received. Raises as open_calls."""
    return _open(
        folder.files_of(folder.received), lambda records, _: decode_received(records), lambda event: event.received_at_us
    )
