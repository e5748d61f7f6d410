"""The one way out to stdout and stderr: what a terminal could obey is spelt out, and passwords are hidden.

Names of tables, titles, hosts and lines of SQL come from others. Whoever writes one to a terminal writes it through here,
and a test sees that nobody else prints: `write_result` and `write_json` for what was asked, on stdout, `write_note` for
progress and errors, on stderr. Colour is put on here, on a terminal only, and not where NO_COLOR is set; bars are rich's,
which goes by the same: `open_console`, and what is written there goes through `visible`.

A result that cannot be written is an error, since nobody has it. A note that cannot be written is lost: a run does not end
because the window is gone that showed its progress.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from integrity.errors import OutputError
from integrity.masking import mask_spelt

if TYPE_CHECKING:
    from rich.console import Console

# C0 but for the newline and the tab, DEL and C1; marks, embeddings, overrides and isolates of writing direction; halves of
# surrogate pairs, which no encoding can write (a file's name that is not UTF-8 holds them).
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CREDENTIALS = re.compile(r"(?<=://)([^/@\s:'\"]*):[^\s'\"]*@")


class ClosedOutput(Exception):
    """Who read stdout has gone, as `head` does: nothing is wrong, and there is nothing left to do."""


def visible(text: str) -> str:
    """Return the text with what a terminal could obey spelt out, e.g. \\x1b and \\u202e."""
    return _OBEYED.sub(lambda found: spell(found[0]), text)


def spell(character: str) -> str:
    """Return a character written out."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def write_result(text: str = "", *, bold: bool = False, dim: bool = False, is_verbatim: bool = False) -> None:
    """Write lines of a result to stdout, no wider than the terminal.

    Args:
        is_verbatim: it stays as it is, however wide: a document, SQL, a URL that was asked for.

    Raises:
        OutputError: it cannot be written, e.g. on a full disk.
        ClosedOutput: nobody reads it any more.
    """
    shown = visible(_CREDENTIALS.sub(r"\1:***@", text))
    stream = _stdout()
    if not is_verbatim:
        shown = _painted(_fitting(name_database(shown)), stream, whole=_BOLD if bold else _DIM if dim else "")
    _write(stream, shown)


_BOLD, _DIM, _RED, _YELLOW, _GREEN = "1", "2", "31", "33", "32"
_TONES = {
    **dict.fromkeys(("violated", "failed", "critical"), _RED),
    **dict.fromkeys(("unknown", "warning", "caution", "not measured", "answers apart"), _YELLOW),
    **dict.fromkeys(("holds", "passed"), _GREEN),
}
"""Verdicts, which stand first in their lines and cells; everything else is told by words alone."""

_VERDICT = re.compile(rf"^( *)({'|'.join(_TONES)})(?= {{2}}|:|$)", re.MULTILINE)


def _painted(text: str, stream: TextIO, *, whole: str = "") -> str:
    """Return the text with colour in it, where the stream is a terminal that has some, and nobody wants none.

    Args:
        whole: a way to write all of it.
    """
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    if whole:
        return f"\x1b[{whole}m{text}\x1b[0m"
    return _VERDICT.sub(lambda found: f"{found[1]}\x1b[{_TONES[found[2]]}m{found[2]}\x1b[0m", text)


JSON_FORMAT = 1
"""Of every result that is JSON: it goes up when a key is renamed, removed or given another meaning; docs/json.md."""


def write_json(document: Mapping[str, Any], *, is_line: bool = False, default: Callable[[Any], Any] | None = None) -> None:
    """Write a result as JSON to stdout, indented or, of a stream of them, on one line; every string stays the same value.

    Its first key is `format`: the document's own, or that of all results.

    Raises:
        OutputError, ClosedOutput: as write_result says.
    """
    import orjson

    option = orjson.OPT_NON_STR_KEYS | (0 if is_line else orjson.OPT_INDENT_2)
    write_json_text(orjson.dumps({"format": JSON_FORMAT, **document}, default=default, option=option).decode())


def write_json_text(text: str) -> None:
    """Write a result that is JSON already.

    Raises:
        OutputError, ClosedOutput: as write_result says.
    """
    # Outside its strings JSON has nothing but newlines that is spelt out here, and inside of them \u00nn is the same value.
    _write(_stdout(), _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def write_note(text: str = "", *, end: str = "\n") -> None:
    """Write progress, a remark or an error to stderr, if there is anybody to read it."""
    stream: TextIO | None = sys.stderr
    if stream is None:
        return
    with suppress(OSError, ValueError):  # the second: it is closed
        stream.write(_painted(_encodable(_fitting(_safe(text)), stream), stream) + end)
        stream.flush()


def _fitting(text: str) -> str:
    """Return text as wide as the terminal; the module below is slow to import, and few notes are long."""
    if all(len(line) <= _SHORT for line in text.split("\n")):
        return text
    from integrity.report.layout import fold_all

    return fold_all(text)


_SHORT = 60
"""Letters that fit in every line: layout's WIDTH_LEAST."""


def _safe(text: str) -> str:
    if "://" in text or "password" in text.lower():  # the module below is slow to import, and few notes need it
        from integrity.engines.target import mask

        text = mask(text)
    text = mask_spelt(text)
    return name_database(visible(text))


def name_database(text: str) -> str:
    """Return the text with our own database by its name: its URL is what `integrity db url` is for.

    Where a URL is to be pasted it stays: as the value of an option or a variable, and in quotes.
    """
    return _EMBEDDED.sub("the embedded database", text) if "?host=" in text else text


_EMBEDDED = re.compile(
    r"(?<!--database )(?<!['\"=])postgresql://integrity@/integrity\?host=[^\s'\"]*?/(?:postgres/socket|integrity-\w+)&port=\d+"
)


def open_console(stream: TextIO | None = None) -> "Console":
    """Return rich's console on stderr, or on another stream: for bars and tables that redraw themselves."""
    from rich.console import Console

    return Console(file=stream, stderr=stream is None)


def note_writer(stream: TextIO | None = None) -> Callable[[str], None]:
    """Return what writes progress: `write_note`, or the same to another stream."""
    if stream is None:
        return write_note

    def write(text: str) -> None:
        stream.write(_encodable(_fitting(_safe(text)), stream) + "\n")
        stream.flush()

    return write


def flush_result() -> None:
    """See that what was written to stdout has arrived.

    Raises:
        OutputError: it cannot be written, e.g. on a full disk.
        ClosedOutput: nobody reads it any more.
    """
    if sys.stdout is not None:
        _write(sys.stdout, None)


def _stdout() -> TextIO:
    stream: TextIO | None = sys.stdout
    if stream is None:
        raise OutputError("the result could not be written: stdout is closed", hint="Send it somewhere, e.g. to a file.")
    return stream


def _write(stream: TextIO, text: str | None) -> None:
    try:
        if text is not None:
            stream.write(_encodable(text, stream) + "\n")
        stream.flush()
    except OSError as error:
        raise broken(error) from None


def broken(error: OSError) -> OutputError | ClosedOutput:
    """Return what to raise when stdout could not be written; what it still holds is forgotten."""
    if sys.stdout is not None:
        _forget(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return ClosedOutput()
    return OutputError(
        f"the result could not be written to stdout: {error.strerror}", hint="Make room, or send it somewhere else."
    )


def _forget(stream: TextIO) -> None:
    """Send what the stream still holds nowhere: else the interpreter tries again when it ends, and complains."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _encodable(text: str, stream: TextIO) -> str:
    """Return the text with what the stream's encoding lacks spelt out: a terminal in LANG=C still shows the rest."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
