"""Slips of the pen: comments that all but say something of ours, and as plain comments would lose it.

    -- store payments.key = :key          stores: payments.key = :key
    -- no 23505: retry                    on 23505: retry
    -- rwo wallet: wallets(balance = 1)   row wallet: wallets(balance = 1)

A comment is taken for a slip where all behind its first word has the form of one of ours, and that word is the right one,
or all but it. Prose has no such form: `-- in 2023: retry later` is a comment.
"""

import re
from dataclasses import dataclass

from integrity.suggestion import is_slip
from integrity.systems.script.domains import DOMAIN_WORDS, NAME, TABLE

_WORD = r"[A-Za-z_]\w*"
_STATE = r"(?=\w*\d)[0-9A-Za-z]{5}"
_DOMAIN = rf"(?:{'|'.join(word for word in DOMAIN_WORDS if word not in ('text', 'key', 'choice'))}|key\s+of)\b.*"
_FORMS = {
    "parameter": re.compile(rf"(?P<name>[a-z_]\w*)\s*:?\s*(?P<said>{_DOMAIN})"),
    "row": re.compile(rf"(?P<name>{_WORD})\s*:?\s*(?P<said>{TABLE}\s*\(.*=.*\))"),
    "stores": re.compile(
        rf"[\s:]*(?P<table>{TABLE})\s*\.\s*(?P<column>{NAME})\s*[=:]\s*(?P<said>(?::|reply\.){_WORD}(?:\s+at\s+\w+)?)"
    ),
    "on": re.compile(
        rf"(?P<name>{_STATE})\s*:?\s*(?P<said>retry|continue|decline\s+{_WORD}|rollback\s+to\s+(?:savepoint\s+)?{_WORD})"
    ),
    "may": re.compile(rf"[\s:]*(?P<said>decline\s+{_WORD}|fail\s+{_STATE})"),
    "decline": re.compile(rf"\s+(?P<name>{_WORD})\s+(?P<said>(?:unless|if)\s+\S.*)"),
    "reply": re.compile(rf"\s*:\s*(?P<said>{_WORD}(?:\s*,\s*{_WORD})*)"),
}
_FIRST = re.compile(r"(?P<word>[A-Za-z]+)(?P<rest>\W.*)?", re.DOTALL)
_LOOSE = ("decline", "reply")
"""Whose form prose may have, too."""
OF_HEADER = ("parameter", "row", "stores", "may")
"""What counts above the first statement only."""


@dataclass(frozen=True, slots=True)
class Slip:
    """A comment that all but says something of ours.

    Args:
        word: as it stands.
        meant: what it begins with, rightly.
        written: all of it, rightly.
    """

    word: str
    meant: str
    written: str

    def describe(self) -> str:
        """Return what is wrong with it, where it stands rightly."""
        return f"{self.word!r} lacks its colon" if self.word == self.meant else f"unknown word {self.word!r}"


def find_slip(comment: str) -> Slip | None:
    """Return what a comment, without its dashes, all but says; None: it is a comment."""
    first = _FIRST.fullmatch(comment.strip())
    if first is None:
        return None
    word, rest = first["word"], (first["rest"] or "")
    for meant, form in _FORMS.items():
        is_loose = meant in _LOOSE
        if is_slip(word, meant, wrong_most=1 if is_loose else 2) and (
            match := form.fullmatch(rest if is_loose else rest.strip())
        ):
            return Slip(word, meant, _written(meant, match))
    return None


def _written(meant: str, match: "re.Match[str]") -> str:
    parts = match.groupdict()
    match meant:
        case "stores":
            return f"stores: {parts['table']}.{parts['column']} = {parts['said']}"
        case "decline":
            return f"decline {parts['name']} {parts['said']}"
        case "on":
            return f"on {parts['name'].upper()}: {parts['said']}"
        case "may" | "reply":
            return f"{meant}: {parts['said']}"
    return f"{meant} {parts['name']}: {parts['said']}"
