"""The command `integrity`, and `python -m integrity`.

Next to nothing is imported here: Python takes some tenths of a second to import the rest, and whoever presses Ctrl-C
meanwhile, or after the last word, is to see no traceback. An exception is no way to tell of it then: what a library does
while it is imported may swallow it, or take it for something that failed. So the process ends where it stands; there is
nothing to end in good order. In between Ctrl-C is the command's own matter, and so is SIGTERM, by which supervisors and CI
end a command: what that made and would drop at its end is dropped by either.
"""

import os
import signal

TYPE_CHECKING = False  # typing takes its time, too
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

INTERRUPTED = 130  # as a shell says it of SIGINT: 128 + 2; verdict.py, which has it too, is not imported yet


def main() -> None:
    """Run the command that the words of the command line say, and exit with its code."""
    usual = ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL))
    heeded = [
        number for number, handler in usual if signal.getsignal(number) == handler
    ]  # a shell's background ignores one
    _answer(heeded, _leave)
    from integrity.cli.main import main as command

    try:
        _answer(heeded, signal.default_int_handler)
        command()
    except KeyboardInterrupt:  # before the command could answer for it
        _leave()
    finally:
        _answer(heeded, _leave)


def _answer(numbers: "list[signal.Signals]", handler: "Callable[[int, FrameType | None], object]") -> None:
    for number in numbers:
        signal.signal(number, handler)


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
