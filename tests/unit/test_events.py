"""A job yields events and does not know who listens; its listeners show what people are to read."""

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integrity.events import Advanced, AuditStarted, Event, FileWritten, Job, Noted, listen
from integrity.report.progress import open_bar, write_notes


class Ended(Exception):
    """What a listener fails with."""


def work(steps: list[str]) -> Job[str]:
    """Note two things, and write down what became of it."""
    try:
        yield Noted("one")
        yield Noted("two")
    finally:
        steps.append("closed")
    return "done"


def test_each_listener_is_told_each_event_and_the_outcome_comes_back() -> None:
    told: list[tuple[str, Event]] = []

    outcome = listen(work([]), lambda event: told.append(("a", event)), lambda event: told.append(("b", event)))

    assert outcome == "done"
    assert told == [("a", Noted("one")), ("b", Noted("one")), ("a", Noted("two")), ("b", Noted("two"))]


def test_a_job_whose_listener_fails_is_closed() -> None:
    steps: list[str] = []

    def fail(_event: Event) -> None:
        raise Ended

    with pytest.raises(Ended):
        listen(work(steps), fail)
    assert steps == ["closed"]


def test_notes_tell_of_the_files_that_were_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for event in (
        Noted("no run is recorded"),
        FileWritten((Path("test_race.py"), Path("test_race.sql"))),
        FileWritten((Path("verdicts.json"),), is_told=False),
        Advanced("racing", "sell + sell", 1, 3),
    ):
        write_notes(event)

    assert capsys.readouterr() == ("", "no run is recorded\nwrote test_race.py and test_race.sql\n")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal that is stderr; called by a test, since pytest sets stderr anew between fixtures and test."""
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return stream


def test_a_bar_on_a_terminal_shows_what_is_done_and_of_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)

    with open_bar() as bar:
        bar(Advanced("racing", "sell + sell", 2, 15))

    assert "racing sell + sell" in terminal.getvalue()
    assert "2/15" in terminal.getvalue()


def test_a_bar_makes_room_for_what_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)

    with open_bar() as bar:
        bar(AuditStarted("shop", ("a", "b", "c"), datetime(2026, 1, 1, tzinfo=UTC), "one snapshot"))
        bar(Noted("something"))
        shown = terminal.getvalue()
        write_notes(Noted("something"))

    assert "0/3" in shown
    assert shown.endswith("\x1b[2K"), "the bar's own line is empty when others write"
    assert terminal.getvalue().count("judging") == shown.count("judging")


def test_there_is_no_bar_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with open_bar() as bar:
        bar(Advanced("racing", "sell + sell", 2, 15))

    assert capsys.readouterr() == ("", "")
