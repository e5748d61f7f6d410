"""What reaches a terminal is text, whatever it was made of; and there is one way out."""

import ast
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.errors import OutputError
from integrity.report.terminal import (
    JSON_FORMAT,
    ClosedOutput,
    open_console,
    visible,
    write_json,
    write_json_text,
    write_note,
    write_result,
)
from tests.unit.sources import nodes

WAY_OUT = "report/terminal.py"

OBEYED = [*range(9), 0x0B, 0x0C, *range(0x0D, 0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F)]
OBEYED += range(0x2066, 0x206A)


@pytest.mark.parametrize("code", OBEYED)
def test_what_a_terminal_obeys_is_spelt_out(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(f"a{chr(code)}b")
    write_note(f"a{chr(code)}b")
    spelt = f"a\\x{code:02x}b\n" if code < 0x100 else f"a\\u{code:04x}b\n"
    assert capsys.readouterr() == (spelt, spelt)


@given(st.text())
def test_what_is_visible_stays_so_when_it_is_made_visible_again(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize("text", ["plain", "ünïcödé, 日本", "a line\nanother", "a\ttab", "❌ “quotes”"])
def test_text_stays_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(text)
    assert capsys.readouterr().out == text + "\n"


@given(st.dictionaries(st.text(), st.text()))
def test_json_has_nothing_to_obey_and_the_same_values(document: dict[str, str]) -> None:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        try:
            write_json(document)
        except TypeError:  # half of a surrogate pair is no text of JSON
            return
    assert json.loads(stream.getvalue()) == {"format": JSON_FORMAT, **document}
    assert visible(stream.getvalue()) == stream.getvalue()


def test_json_that_was_made_elsewhere_keeps_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    write_json_text('{"title": "a\u202eb\x7f"}')
    out = capsys.readouterr().out
    assert out == '{"title": "a\\u202eb\\u007f"}\n'
    assert json.loads(out) == {"title": "a\u202eb\x7f"}


@pytest.mark.parametrize(
    "text", ["postgresql://app:hunter2@host/name", "cannot connect: postgresql://app:hunter2@host:5432/name?x=1 is gone"]
)
def test_a_password_in_a_url_is_hidden_on_both_ways(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(text)
    write_note(text)
    out, err = capsys.readouterr()
    assert "hunter2" not in out + err
    assert "app:***@host" in out
    assert "app:***@host" in err


def test_a_password_in_a_setting_is_hidden_in_notes(capsys: pytest.CaptureFixture[str]) -> None:
    write_note("host=localhost password=hunter2 user=app")
    assert "hunter2" not in capsys.readouterr().err


def test_a_query_is_shown_as_it_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    write_result("select id from users where password = ''")
    assert capsys.readouterr().out == "select id from users where password = ''\n"


class _Ascii(io.StringIO):
    encoding = "ascii"


def test_what_an_encoding_lacks_is_spelt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stream := _Ascii())
    write_result("größe")
    assert stream.getvalue() == "gr\\xf6\\xdfe\n"


@contextmanager
def full() -> Iterator[None]:
    with Path("/dev/full").open("w") as stream, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        yield


def test_a_result_that_cannot_be_written_is_an_error() -> None:
    with full(), pytest.raises(OutputError, match="stdout: No space left on device"):
        write_result("a verdict")


def test_a_result_without_a_stdout_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputError, match="stdout is closed"):
        write_result("a verdict")


def test_a_pipe_that_nobody_reads_is_no_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(ClosedOutput):
            write_result("a verdict")


@pytest.mark.parametrize("lost", [None, "closed"])
def test_a_note_that_nobody_can_read_is_lost(monkeypatch: pytest.MonkeyPatch, lost: str | None) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream if lost else None)
    write_note("10 of 20 s")


OURS = "postgresql://integrity@/integrity?host=/home/somebody/a-long-name/shop/.integrity/postgres/socket&port=5432"
SOCKET = "postgresql://app@/shop?host=/var/lib/somebody/a-long-name/of-a-folder/run/postgresql/sockets&port=5432"


def test_our_own_database_has_its_name_on_screens_and_its_url_where_it_is_to_be_pasted_and_in_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    for write in (write_result, write_note):
        write(f"{OURS}: nothing here, see {OURS}.")
        write(f"next: integrity seed --database {OURS}")
        write(f"URL='{OURS}'")
    named = "the embedded database: nothing here, see the embedded database.\n"
    asked = f"next: integrity seed \\\n    --database {OURS}\nURL='{OURS}'\n"
    assert capsys.readouterr() == (named + asked,) * 2
    write_json({"database": OURS})
    write_result(OURS, is_verbatim=True)
    assert capsys.readouterr().out.count(OURS) == 2


def test_the_url_of_a_socket_that_no_line_takes_has_the_middle_of_its_folder_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    write_note(f"{SOCKET}: nothing here")
    write_note(f"URL='{SOCKET}'")
    short = SOCKET.replace("/var/lib/somebody/a-long-name/of-a-folder/run/postgresql/sockets", "/var/…/sockets")
    assert capsys.readouterr().err == f"{short}: nothing here\nURL='{SOCKET}'\n"
    monkeypatch.setenv("COLUMNS", "200")
    write_note(f"{SOCKET}: nothing here")
    assert capsys.readouterr().err == f"{SOCKET}: nothing here\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


SAID = """\
verdict    rows
violated      2
  holds
not measured  p95
unknown: nobody knows
violated by two rows, which holds for all
"""


def test_verdicts_have_a_colour_on_a_terminal_and_nothing_else_has_and_nothing_has_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for write, name in ((write_result, "stdout"), (write_note, "stderr")):
        write(SAID)
        assert "".join(capsys.readouterr()) == f"{SAID}\n"
        for variables, is_coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, name, stream := _Terminal())
                for variable, value in variables.items():
                    patch.setenv(variable, value)
                write(SAID)
            coloured = re.findall("\x1b\\[(\\d+)m([a-z ]+)\x1b\\[0m", stream.getvalue())
            expected = [("31", "violated"), ("32", "holds"), ("33", "not measured"), ("33", "unknown")]
            assert coloured == (expected if is_coloured else [])
            assert re.sub("\x1b\\[\\d+m", "", stream.getvalue()) == f"{SAID}\n"


def test_a_document_has_no_colour_and_what_others_wrote_stays_spelt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", stream := _Terminal())
    write_result("violated", is_verbatim=True)
    write_result("violated  \x1b[2J")
    write_result("acts", bold=True)
    assert stream.getvalue() == "violated\n\x1b[31mviolated\x1b[0m  \\x1b[2J\n\x1b[1macts\x1b[0m\n"


FORBIDDEN = {"print", "Console", "rich.print", "sys.stdout.write", "sys.stderr.write"}
FORBIDDEN |= {f"click.{name}" for name in ("echo", "secho", "confirm", "prompt", "pager", "echo_via_pager")}


def test_nobody_else_prints() -> None:
    """A print, click's echo or a console of rich's beside the way out would reach the terminal as it is."""
    found = [
        f"{place}:{node.lineno}: {ast.unparse(node.func)}"
        for place, node in nodes("|".join(rf"\b{re.escape(name)}\b" for name in FORBIDDEN))
        if place != WAY_OUT and isinstance(node, ast.Call) and ast.unparse(node.func) in FORBIDDEN
    ]
    assert found == [], "write through integrity/report/terminal.py"


def test_rich_draws_on_stderr() -> None:
    assert open_console().file is sys.stderr


NOTES = {
    "an error": "integrity: "
    + "the table is not there, and nothing was read " * 5
    + "\n  hint: "
    + "Make it first, then try again. " * 5,
    "a word that cannot be broken": "wrote /" + "folder/" * 20 + "file and another that " + "stands beside it " * 6,
    "progress": "running  5/8 s  2029 calls/s  9309 calls  3745 declined  0 errors  0 retries  slowest p95 10.6 ms",
}


@pytest.mark.parametrize("text", NOTES.values(), ids=NOTES)
def test_a_note_has_no_line_that_a_terminal_breaks(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    write_note(text)
    written = capsys.readouterr().err
    assert [line for line in written.splitlines() if len(line) > 80 and " " in line.strip()] == []
    assert written.split() == text.split()


def test_a_command_in_a_note_can_be_pasted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    command = (
        "integrity validate --system ghostpass --database postgresql://app@localhost/shop --workers 2 --limit-evidence 5"
    )
    write_note(f"  again: {command}")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 1
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert shlex.split("\n".join(lines).replace(" \\\n", " ")) == ["again:", *shlex.split(command)]


def test_a_line_of_sql_stays_whole_above_its_caret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    shown = "  select " + "wallets.balance_minor, " * 5 + "wallets.id\n" + " " * 60 + "^"
    write_note(f"a.sql:1: no such column\n{shown}")
    assert capsys.readouterr().err == f"a.sql:1: no such column\n{shown}\n"
