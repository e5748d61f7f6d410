"""Where a scenario is written: what is wrong in it is told with its file, line, column, key, and the line with a caret."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integrity.errors import UsageError
from integrity.http.secrets import is_secret_name
from integrity.scenarios.toml_place import place_of
from integrity.sql.place import show_line

_SHOWN_MOST = 64  # letters of a line
_BEFORE = 24  # of them before the caret, where it stands far to the right


@dataclass(frozen=True, slots=True)
class Source:
    """See the module.

    Args:
        file: as it is shown.
        text: of it; empty: there is none, as of a command line.
    """

    file: Path
    text: str = ""

    def error(self, path: Sequence[int | str], said: str, *, hint: str, word: str = "", key: bool = True) -> UsageError:
        """Return what is wrong with a key.

        Args:
            word: behind it, that is wrong itself.
            key: the key is told.
        """
        place = self._place(path, word)
        told = ".".join(map(str, path)) if key else ""
        return UsageError(f"{self._before(place)}{f': {told}' if told else ''}: {said}{self._caret(*place)}", hint=hint)

    @contextmanager
    def telling(self, path: Sequence[int | str], word: str = "") -> Iterator[str]:
        """Yield the place of a key, or of a word behind it, before a colon; what is wrong there is shown with its line."""
        place = self._place(path, word)
        try:
            yield f"{self._before(place)}: {'.'.join(map(str, path))}"
        except UsageError as error:
            raise UsageError(f"{error.message}{self._caret(*place)}", hint=error.hint or "") from None

    def _place(self, path: Sequence[int | str], word: str) -> tuple[int, int]:
        place = place_of(self.text, path) if self.text else (0, 0)
        return _find(self.text, *place, word) if word else place

    def _before(self, place: tuple[int, int]) -> str:
        return ":".join([str(self.file), *map(str, filter(None, place))])

    def _caret(self, line: int, column: int) -> str:
        """Return the line with a caret, on lines of their own; none where it may hold a secret."""
        lines = self.text.splitlines()
        if not 0 < line <= len(lines) or is_secret_name(lines[line - 1]):
            return ""
        shown, at = lines[line - 1], column
        if len(shown) > _SHOWN_MOST and column > _SHOWN_MOST - _BEFORE:
            shown, at = f"…{shown[column - 1 - _BEFORE :]}", _BEFORE + 2
        if len(shown) > _SHOWN_MOST:
            shown = f"{shown[:_SHOWN_MOST]}…"
        return f"\n{show_line(str(line), shown, at)}"


def _find(text: str, line: int, column: int, word: str) -> tuple[int, int]:
    """Return line and column of a word behind a place, or that place."""
    begin = sum(map(len, text.splitlines(keepends=True)[: line - 1])) + column - 1
    at = text.find(word, begin)
    if at < 0:
        return line, column
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
