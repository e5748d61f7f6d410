"""A line as one pastes it from a shell, cut into its words with the place of each.

What a shell would do beside that (variables, pipes, several commands) is refused by name: a line is read, never run.
"""

import re
from dataclasses import dataclass, field

from integrity.errors import UsageError, quote

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b", "E": "\x1b"}
_NUMBERED = re.compile(r"x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})")
_VARIABLE = re.compile(r"\$[A-Za-z_{(]")
_BETWEEN_COMMANDS = "|&;<>"


@dataclass(frozen=True, slots=True)
class Word:
    """A word.

    Args:
        at: where it begins in the line, from 1.
    """

    text: str = field(repr=False)
    at: int


def split_words(line: str, *, place: str) -> list[Word]:
    """Return the words of a line.

    Args:
        place: where it stands, for messages.

    Raises:
        UsageError: a quote is not closed, or it is more than one command's words.
    """
    words: list[Word] = []
    at = 0
    while at < len(line):
        if line[at].isspace():
            at += 1
        elif line.startswith(("\\\n", "\\\r\n"), at):
            at = line.index("\n", at) + 1
        elif line[at:].strip() in ("\\", ";"):  # a paste that was cut behind its line, or "copy all as cURL"
            break
        else:
            text, end = _read_word(line, at, place)
            words.append(Word(text, at + 1))
            at = end
    return words


def _read_word(line: str, at: int, place: str) -> tuple[str, int]:
    pieces: list[str] = []
    while at < len(line) and not line[at].isspace():
        letter = line[at]
        if letter == "'":
            end = _closing(line, at, "'", place)
            pieces.append(line[at + 1 : end])
            at = end + 1
        elif letter == "$" and line[at + 1 : at + 2] == "'":
            text, at = _read_ansi(line, at, place)
            pieces.append(text)
        elif letter == '"':
            text, at = _read_double(line, at, place)
            pieces.append(text)
        elif letter == "\\":
            if line.startswith(("\\\n", "\\\r\n"), at):
                break
            pieces.append(line[at + 1 : at + 2])
            at += 2
        elif letter in _BETWEEN_COMMANDS:
            raise UsageError(
                f"{place}: column {at + 1}: {quote(letter)} outside quotes ends a command",
                hint="Put the URL in quotes; give one curl line at a time.",
            )
        elif letter == "^" and (line[at + 1 : at + 2] in '"\n\r&'):
            raise UsageError(
                f"{place}: column {at + 1}: '^' is of the Windows command line", hint='Copy it as "cURL (bash)".'
            )
        else:
            _refuse_variable(line, at, place)
            pieces.append(letter)
            at += 1
    return "".join(pieces), at


def _read_double(line: str, start: int, place: str) -> tuple[str, int]:
    pieces: list[str] = []
    at = start + 1
    while at < len(line):
        letter = line[at]
        if letter == '"':
            return "".join(pieces), at + 1
        if letter == "\\" and line[at + 1 : at + 2] in ("$", "`", '"', "\\", "\n"):
            pieces.append(line[at + 1].replace("\n", ""))
            at += 2
            continue
        _refuse_variable(line, at, place)
        pieces.append(letter)
        at += 1
    raise _not_closed(start, '"', place)


def _read_ansi(line: str, start: int, place: str) -> tuple[str, int]:
    pieces: list[str] = []
    at = start + 2
    while at < len(line):
        letter = line[at]
        if letter == "'":
            return "".join(pieces), at + 1
        if letter != "\\":
            pieces.append(letter)
            at += 1
        elif numbered := _NUMBERED.match(line, at + 1):
            hexadecimal = numbered[1] or numbered[2] or numbered[3]
            pieces.append(chr(int(hexadecimal, 16) if hexadecimal else int(numbered[4], 8)))
            at = numbered.end()
        else:
            following = line[at + 1 : at + 2]
            pieces.append(_ESCAPES.get(following, following))
            at += 2
    raise _not_closed(start, "$'", place)


def _closing(line: str, start: int, mark: str, place: str) -> int:
    end = line.find(mark, start + 1)
    if end < 0:
        raise _not_closed(start, mark, place)
    return end


def _not_closed(start: int, mark: str, place: str) -> UsageError:
    return UsageError(
        f"{place}: column {start + 1}: the quote {mark} is not closed",
        hint="Paste the whole line; within '...' an apostrophe is written '\\''.",
    )


def _refuse_variable(line: str, at: int, place: str) -> None:
    if line[at] == "`" or _VARIABLE.match(line, at):
        raise UsageError(
            f"{place}: column {at + 1}: {quote(line[at : at + 2])} is for a shell to fill in, and no shell reads this line",
            hint="Write the value, or put it in single quotes where the letter itself is meant.",
        )
