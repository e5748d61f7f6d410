"""Jobs side by side come out as one stream, and what stops the stream stops them all."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from integrity.events import Job, Noted, listen
from integrity.jobs.together import Reins, play_together


class Line:
    """Stands for a connection with a statement under way, which only a cancel ends."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def cancel(self) -> None:
        self.ended.set()


def told(count: int) -> Job[int]:
    for number in range(count):
        yield Noted(str(number))
    return count


def refused() -> Job[int]:
    yield Noted("before")
    raise ValueError("refused")


def stuck(reins: Reins[int], line: Line) -> Job[int]:
    reins.hold(line)
    yield Noted("stuck")
    line.ended.wait()
    yield Noted("never told")
    return 0


def test_each_job_says_what_it_has_to_and_what_it_returned_is_known_by_its_place() -> None:
    heard: list[Any] = []
    returned: dict[int, int] = {}

    starts = [lambda _, count=count: told(count) for count in (3, 0, 2)]
    listen(play_together(starts, most=2, done=returned.__setitem__), heard.append)

    assert returned == {0: 3, 1: 0, 2: 2}
    assert sorted(event.text for event in heard) == ["0", "0", "1", "1", "2"]


def test_a_failure_is_raised_after_the_jobs_under_way_and_no_other_is_begun() -> None:
    begun: list[str] = []
    returned: dict[int, int] = {}

    def start(name: str, job: Job[int]) -> Any:
        def begin(_: Reins[int]) -> Job[int]:
            begun.append(name)
            return job

        return begin

    starts = [start("refused", refused()), start("late", told(1))]
    with pytest.raises(ValueError, match="refused"):
        listen(play_together(starts, most=1, done=returned.__setitem__))

    assert (begun, returned) == (["refused"], {})


def test_a_listener_that_fails_ends_the_statement_under_way_of_every_job() -> None:
    lines = [Line(), Line()]
    waiting = {"stuck"}

    def interrupt(event: Any) -> None:
        waiting.add(event.text)
        raise KeyboardInterrupt

    def start(line: Line) -> Callable[[Reins[int]], Job[int]]:
        return lambda reins: stuck(reins, line)

    with pytest.raises(KeyboardInterrupt):
        listen(play_together([start(line) for line in lines], most=2, done=lambda *_: None), interrupt)

    assert waiting == {"stuck"}
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ThreadPool")] == []
