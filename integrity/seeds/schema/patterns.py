"""Texts that match a pattern: `like`, and the common part of regular expressions."""

import string

from integrity.seeds.schema.dice import Dice

REPEATS_MOST = 6
_CLASSES = {"d": string.digits, "w": string.ascii_lowercase + string.digits + "_", "s": " "}
_NAMED = {
    "alpha": string.ascii_lowercase,
    "alnum": string.ascii_lowercase + string.digits,
    "digit": string.digits,
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "xdigit": "0123456789abcdef",
    "space": " ",
    "punct": "-.",
}


def match_like(pattern: str, dice: Dice) -> str:
    """Return a text that is like the pattern."""
    filled = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            filled.append(next(characters, ""))
        elif character == "%":
            filled.append("".join(dice.choose(string.ascii_lowercase) for _ in range(dice.between(1, 6))))
        else:
            filled.append(dice.choose(string.ascii_lowercase) if character == "_" else character)
    return "".join(filled)


def match_expression(pattern: str, dice: Dice) -> str:
    """Return a text that most likely matches the regular expression."""
    return _Reader(pattern, dice).read_branches()


class _Reader:
    """Walks a regular expression and writes as it goes; what it does not know it takes literally."""

    def __init__(self, pattern: str, dice: Dice) -> None:
        self._pattern, self._dice, self._place = pattern, dice, 0

    def read_branches(self) -> str:
        branches = [self._read_branch()]
        while self._peek() == "|":
            self._place += 1
            branches.append(self._read_branch())
        return self._dice.choose(branches)

    def _peek(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _take(self) -> str:
        self._place += 1
        return self._pattern[self._place - 1 : self._place]

    def _read_branch(self) -> str:
        written: list[str] = []
        while self._peek() not in ("", "|", ")"):
            start = self._place
            first = self._read_atom()
            least, most = self._read_repeats()
            end, count = self._place, self._dice.between(least, most)
            written.append(first if count else "")
            for _ in range(1, count):
                self._place = start  # an atom that is read again draws again
                written.append(self._read_atom())
            self._place = end
        return "".join(written)

    def _read_atom(self) -> str:
        character = self._take()
        match character:
            case "^" | "$":
                return ""
            case ".":
                return self._dice.choose(string.ascii_lowercase)
            case "[":
                return self._dice.choose(self._read_class() or "x")
            case "(":
                return self._read_group()
            case "\\":
                return self._read_escape()
        return character

    def _read_group(self) -> str:
        if self._pattern.startswith("?:", self._place):
            self._place += 2
        elif self._pattern.startswith(("?=", "?!"), self._place):
            self._place += 2
            self.read_branches()
            self._take()
            return ""
        written = self.read_branches()
        self._take()
        return written

    def _read_escape(self) -> str:
        character = self._take()
        if character in _CLASSES:
            return self._dice.choose(_CLASSES[character])
        return "" if character in "bBmMyAZ" else character

    def _read_class(self) -> str:
        is_negated = self._peek() == "^"
        self._place += is_negated
        known: list[str] = []
        while (character := self._take()) not in ("]", "") or not known:
            if not character:
                break
            if character == "[" and self._peek() == ":":
                end = self._pattern.find(":]", self._place)
                known += _NAMED.get(self._pattern[self._place + 1 : end], "x")
                self._place = end + 2
            elif character == "\\":
                escaped = self._take()
                known += _CLASSES.get(escaped, escaped)
            elif self._peek() == "-" and self._pattern[self._place + 1 : self._place + 2] not in ("]", ""):
                self._take()
                known += [chr(code) for code in range(ord(character), ord(self._take()) + 1)][:64]
            else:
                known.append(character)
        if is_negated:
            known = [each for each in string.ascii_lowercase + string.digits if each not in known]
        return "".join(known)

    def _read_repeats(self) -> tuple[int, int]:
        least, most = 1, 1
        match self._peek():
            case "*":
                least, most = 0, REPEATS_MOST
            case "+":
                most = REPEATS_MOST
            case "?":
                least = 0
            case "{":
                end = self._pattern.find("}", self._place)
                counts = self._pattern[self._place + 1 : end].split(",")
                if end > 0 and counts[0].isdigit():
                    least = int(counts[0])
                    most = int(counts[-1]) if counts[-1].isdigit() else least + REPEATS_MOST
                    most = min(most, max(least, 64))
                    self._place = end + 1
                return least, most
            case _:
                return 1, 1
        self._place += 1
        if self._peek() == "?":
            self._place += 1
        return least, most
