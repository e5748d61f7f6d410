"""The boundary: how a command that failed ends, whatever the error, with one paragraph on stderr and its exit code.

What a user can mend is an AuditError or one of click's, and says so itself. Everything else is an exception in code of the
user's that we called, or an error of ours, or of the machine: its paragraph says what happened in words, and its traceback
goes to a file of the project's, `.integrity/errors/<time>-<command>.txt`, never to the terminal. The user's ends with exit
code 2, as what can be mended; the others with 3, the answer could not be found: never with 1, the data is wrong.

Errors that no call returns (in a thread, in a task that nobody awaits) are told the same way, when they happen.
"""

import logging
import os
import platform
import shlex
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import CodeType

import click

import integrity
from integrity.cli.usage import describe_usage
from integrity.errors import AuditError, DatabaseError, UserCodeError
from integrity.exit_codes import ExitCode, exit_code_after_failure
from integrity.report.terminal import ClosedOutput, broken, write_note
from integrity.user_code import as_user_error

CLOSED_PIPE = 141
"""What a shell says of a program that wrote to a closed pipe: 128 and the number of SIGPIPE."""

_WORD_MOST = 300
_MESSAGE_MOST = 4000
_DRIVERS = ("psycopg", "asyncpg", "sqlalchemy", "sqlite3")


@dataclass
class Boundary:
    """How failures of one command are told.

    Args:
        words: the command line, without the program.
        project_folder: where `.integrity` is; known once the options are read.
        command: the first word that is a command; names the file.
        failure_count: errors of ours so far.
    """

    words: Sequence[str]
    project_folder: Path | None = None
    command: str = "integrity"
    failure_count: int = field(default=0)

    def end(self, error: BaseException) -> int:
        """Say what happened, and return the exit code."""
        whole, error = error, _of_stdout(_bare(error))
        match error:
            case click.exceptions.Exit():
                return error.exit_code
            case ClosedOutput():
                return CLOSED_PIPE
            case KeyboardInterrupt() | click.Abort():
                message, code = "interrupted", ExitCode.INTERRUPTED
            case click.exceptions.NoArgsIsHelpError():
                write_note(error.format_message())
                return ExitCode.USAGE
            case click.ClickException():
                message, code = describe_usage(error, self.command), ExitCode.USAGE
            case AuditError() if not isinstance(error, UserCodeError):
                message, code = str(error), error.exit_code
            case _:
                self.tell(error, whole=whole)
                return ExitCode.UNKNOWN if as_user_error(error) is None else ExitCode.USAGE
        write_note(f"integrity: {shorten(message)}")
        return code

    def tell(self, error: BaseException, *, where: str = "", whole: BaseException | None = None) -> None:
        """Say what happened in an error of ours, or of the user's code, and keep its traceback.

        Args:
            whole: the group of tasks that the error came in; its traceback says more.
        """
        self.failure_count += 1
        what, hint = describe(error)
        try:
            kept = self._keep(whole or error)
        except Exception as failed:  # not even that: the paragraph is all there is
            kept = f"the traceback could not be kept: {type(failed).__name__}"
        write_note(shorten(f"integrity: {self.command}{where} could not go on: {what}\n  {kept}\n  hint: {hint}"))

    def _keep(self, error: BaseException) -> str:
        """Write the traceback to a file that only its owner may read; return where it is, in words."""
        text = self._report(error)
        name = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{self.command}-{os.getpid()}-{self.failure_count}.txt"
        try:
            folder = (self.project_folder or Path.cwd()) / ".integrity" / "errors"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = _write_new(folder / name, text)
        except OSError as failed:
            reason = failed.strerror
        else:
            _forget_oldest(folder)
            return f"the traceback is in {kept}"
        try:
            descriptor, path = tempfile.mkstemp(prefix="integrity-", suffix=f"-{name}")
            _write(descriptor, text)
        except OSError:
            return f"the traceback could not be kept: neither the project nor the temporary folder takes a file ({reason})"
        return f"the project's folder cannot be written ({reason}); the traceback is in {path}"

    def _report(self, error: BaseException) -> str:
        """Return what somebody needs who is to find the cause; no password is in it."""
        from integrity.engines.target import mask
        from integrity.masking import mask_tokens

        text = "".join(traceback.format_exception(error))
        secrets = sorted(_secrets(self.words), key=len, reverse=True)
        lines = [
            f"integrity {integrity.__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"$ integrity {shlex.join(self.words)}",
            "",
            text,
        ]
        masked = mask_tokens(mask("\n".join(lines)))
        for secret in secrets:
            masked = masked.replace(secret, "***")
        return masked

    @contextmanager
    def around_threads(self) -> Iterator[None]:
        """Tell also of errors that no call returns, instead of their tracebacks on the terminal."""
        before, unraisable_before = threading.excepthook, sys.unraisablehook
        handler = _Handler(self)
        logging.getLogger().addHandler(handler)

        def on_thread(failed: threading.ExceptHookArgs) -> None:
            if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
                self.tell(failed.exc_value, where=f", in thread {failed.thread.name if failed.thread else '?'},")

        def on_unraisable(failed: "sys.UnraisableHookArgs") -> None:
            if isinstance(failed.exc_value, KeyboardInterrupt):
                _interrupt_again(on_unraisable.__code__)
            else:
                unraisable_before(failed)

        threading.excepthook, sys.unraisablehook = on_thread, on_unraisable
        try:
            yield
        finally:
            threading.excepthook, sys.unraisablehook = before, unraisable_before
            logging.getLogger().removeHandler(handler)

    def outcome(self, code: int) -> int:
        """Return the exit code of a command that came to its end: what failed beside it makes a good end unknown."""
        return exit_code_after_failure(code) if self.failure_count else code


def _interrupt_again(hook: CodeType) -> None:
    """Let Ctrl-C come anew in a moment: it came in a destructor or weak reference's callback, and Python swallowed it.

    Args:
        hook: that asks for this; it must be over, for what is raised within it is swallowed, too.
    """
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        while any(frame.f_code is hook for frame, _ in traceback.walk_stack(sys._current_frames()[main])):
            time.sleep(_MOMENT_S)  # nothing tells when the main thread is out of a hook
        signal.pthread_kill(main, signal.SIGINT)

    timer = threading.Timer(_MOMENT_S, interrupt)
    timer.daemon = True
    timer.start()


_MOMENT_S = 0.01


class _Handler(logging.Handler):
    """Turns what libraries log into notes: asyncio tells so of tasks that failed and that nobody awaited."""

    def __init__(self, boundary: Boundary) -> None:
        super().__init__(logging.WARNING)
        self._boundary = boundary

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._boundary.tell(error, where=", in the background,")
        else:
            write_note(f"integrity: {record.name}: {shorten(' '.join(record.getMessage().split()))}")


def describe(error: BaseException) -> tuple[str, str]:
    """Return what happened, in words, and the next step."""
    if user_error := as_user_error(error):
        return f"an exception in {user_error.message}", user_error.hint or ""
    said = " ".join(str(error).split())
    again = "Give the command again; if it comes back, report it with that file."
    if isinstance(error, RecursionError):
        return "something that it reads is nested too deeply", "Look for hundreds of brackets in what it was given."
    if isinstance(error, MemoryError):
        return "there was not enough memory", "Ask for less at a time, e.g. --limit-evidence 1, or allow it more memory."
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}", again
    if _is_of_database(error):
        from integrity.engines.refusals import next_step

        step = next_step(error) or "See that it runs and is not locked, then try again."
        return f"the database did not answer as it must: {said}", step
    return f"an error of integrity's own: {type(error).__name__}{': ' if said else ''}{said}", again


def _is_of_database(error: BaseException) -> bool:
    return isinstance(error, DatabaseError) or type(error).__module__.partition(".")[0] in _DRIVERS


def shorten(message: str) -> str:
    """Return a message without blank lines, and without more of a huge word or of itself than tells what it is."""
    lines = (line for line in message.split("\n") if line.strip())
    words = "\n".join(" ".join(_cut(word, _WORD_MOST) for word in line.split(" ")) for line in lines)
    return _cut(words, _MESSAGE_MOST)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}[...]{text[-most // 4 :]}"


def _bare(error: BaseException) -> BaseException:
    """Return the error itself, taken out of the groups of tasks that it comes in."""
    found = error
    while isinstance(found, BaseExceptionGroup) and len(found.exceptions) == 1:
        found = found.exceptions[0]
    if isinstance(found, BaseExceptionGroup):
        for kind in (KeyboardInterrupt, AuditError):
            inner = found.subgroup(kind)
            if inner is not None:
                return _first(inner)
    return found


def _of_stdout(error: BaseException) -> BaseException:
    """Return the error as one of stdout, where that is what could not be written: click prints its help by itself."""
    if isinstance(error, OSError) and error.__traceback__ is not None:
        *_, (innermost, _) = traceback.walk_tb(error.__traceback__)
        if innermost.f_globals.get("__name__") == "click.utils":
            return broken(error)
    return error


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _secrets(words: Sequence[str]) -> set[str]:
    """Return the passwords that the command was given, as far as they can be told from other words."""
    from urllib.parse import quote

    from integrity.engines.url import Secret, Url

    found = {os.environ.get("PGPASSWORD", "")}
    for word in (*words, os.environ.get("INTEGRITY_DATABASE_URL", "")):
        try:
            url = Url.parse(word.partition("=")[2] if word.startswith("--") else word)
        except ValueError:  # it is no URL
            continue
        for secret in (url.password, *url.query.values()):
            if isinstance(secret, Secret):
                found |= {secret.reveal(), quote(secret.reveal(), safe="")}
    return {secret for secret in found if len(secret) >= SECRET_LETTERS_LEAST}


SECRET_LETTERS_LEAST = 4
"""A shorter one is a part of so many words that hiding it would hide the cause."""


def _forget_oldest(folder: Path) -> None:
    """Leave the newest tracebacks alone, and remove the others: their names begin with their times."""
    for path in sorted(folder.glob("*.txt"))[:-KEPT_MOST]:
        with suppress(OSError):
            path.unlink()


KEPT_MOST = 50


def _write_new(path: Path, text: str) -> Path:
    _write(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), text)
    return path


def _write(descriptor: int, text: str) -> None:
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
