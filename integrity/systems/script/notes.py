"""Notes: what stands in comments of an operation's file, and is ours.

    -- decline insufficient_balance unless balance_minor >= :amount_minor     behind a statement
    -- on 23505: decline duplicate                                            behind a statement, or in the header for all
    -- reply: payment_id, balance_minor                                       behind a statement, or in the header

A comment that begins in another way is a comment.
"""

import re
from dataclasses import dataclass

from integrity.sql.parameters import find_parameters
from integrity.systems.script.condition import Condition, NoCondition, read_condition
from integrity.systems.script.slips import OF_HEADER, find_slip

_WORD = r"[A-Za-z_]\w*"
_DECLINE = re.compile(rf"(?P<reason>{_WORD})\s+(?P<word>unless|if)\s+(?P<condition>\S.*)")
_ON = re.compile(r"on\s+(?P<state>[^\s:]+)\s*:\s*(?P<reaction>.*)")
_STATE = re.compile(r"[0-9A-Z]{5}")
_LIKE_STATE = re.compile(r"\d|^[A-Z]+$")
_REACTION = re.compile(
    rf"retry|(?P<continue>continue)|decline\s+(?P<reason>{_WORD})|rollback\s+to\s+(?:savepoint\s+)?(?P<savepoint>{_WORD})"
)
_REPLY = re.compile(r"reply\s*:\s*(?P<names>.*)")

DECLINE_FORM = "Write `-- decline insufficient_balance unless balance_minor >= :amount_minor`, or `... unless row`."
ON_FORM = "Write `-- on 23505: retry`, or `decline duplicate`, `rollback to s`, `continue` behind the colon."
REPLY_FORM = "Write `-- reply: id, balance_minor`: parameters, kept columns, and columns of the row above."


@dataclass(frozen=True, slots=True)
class Decline:
    """The operation ends here with a no, if the condition holds; with `unless`, if it does not hold."""

    reason: str
    condition: Condition
    is_unless: bool


@dataclass(frozen=True, slots=True)
class Reaction:
    """What becomes of a refused statement.

    Args:
        reason: the operation declines for it; empty: it does not.
        savepoint: that is rolled back to, to go on behind the statement.
        goes_on: behind the statement, as if it had changed nothing.
    """

    reason: str = ""
    savepoint: str = ""
    goes_on: bool = False

    @property
    def is_retry(self) -> bool:
        """The operation begins anew."""
        return not self.reason and not self.savepoint and not self.goes_on


@dataclass(frozen=True, slots=True)
class On:
    """What is done about a SQLSTATE."""

    state: str
    reaction: Reaction


@dataclass(frozen=True, slots=True)
class Tell:
    """What the client is told: values by these names."""

    names: tuple[str, ...]


class NoNote(Exception):
    """The comment begins as one of ours and is none; the message says why.

    Args:
        at: where in the text, from 0.
    """

    def __init__(self, reason: str, *, at: int = 0, hint: str) -> None:
        super().__init__(reason)
        self.at = at
        self.hint = hint


def read_note(text: str) -> Decline | On | Tell | None:
    """Return what a comment says that is ours; None: it is a comment.

    Raises:
        NoNote: it begins as one of ours.
    """
    if not text.startswith("--"):
        return None
    said = text[2:].strip()
    at = text.index(said) if said else 0
    try:
        if re.match(r"decline\b", said):
            return read_decline(said)
        if (match := _ON.fullmatch(said)) and (
            _LIKE_STATE.search(match["state"]) or _REACTION.fullmatch(match["reaction"])
        ):
            return read_on(match["state"], match["reaction"])
        if match := _REPLY.fullmatch(said):
            return read_reply(match["names"])
    except NoNote as fault:
        raise NoNote(str(fault), at=at + fault.at, hint=fault.hint) from None
    if (slip := find_slip(said)) is None:
        return None
    if slip.meant in OF_HEADER:
        reason = f"{slip.meant!r} stands in the header, above the first statement"
        raise NoNote(reason, at=at, hint=f"Move it up: `-- {slip.written}`.")
    raise NoNote(slip.describe(), at=at, hint=f"Perhaps you meant `-- {slip.written}`.")


def read_decline(said: str) -> Decline:
    """Return the decline, behind whose first word a reason and a condition stand.

    Raises:
        NoNote: they do not.
    """
    start = len("decline") + len(said[len("decline") :]) - len(said[len("decline") :].lstrip())
    match = _DECLINE.fullmatch(said, start)
    if match is None:
        raise NoNote("a decline has a reason and a condition", hint=DECLINE_FORM)
    try:
        condition = read_condition(match["condition"])
    except NoCondition as fault:
        raise NoNote(str(fault), at=match.start("condition") + fault.at, hint=DECLINE_FORM) from None
    return Decline(match["reason"], condition, match["word"] == "unless")


def read_on(state: str, said: str) -> On:
    """Return what is done about a SQLSTATE.

    Raises:
        NoNote: it is none, or there is no such thing to be done.
    """
    if not _STATE.fullmatch(state):
        raise NoNote(f"{state} is no SQLSTATE", hint="A SQLSTATE is five digits or capital letters: 23505, 40001, 23P01.")
    match = _REACTION.fullmatch(said.strip())
    if match is None:
        raise NoNote(f"what is to be done on {state} is not known: {said.strip() or 'nothing is said'}", hint=ON_FORM)
    return On(state, Reaction(match["reason"] or "", match["savepoint"] or "", goes_on=bool(match["continue"])))


def read_reply(said: str) -> Tell:
    """Return what the client is told.

    Raises:
        NoNote: it is no list of names.
    """
    names = tuple(each.strip().removeprefix(":") for each in said.split(","))
    for name in names:
        if not re.fullmatch(_WORD, name):
            raise NoNote(f"{name or 'nothing'} is no name of a value", hint=REPLY_FORM)
    return Tell(names)


def parameters_of(note: Decline | On | Tell) -> tuple[str, ...]:
    """Return what the note names as `:name`."""
    return find_parameters(note.condition.text) if isinstance(note, Decline) else ()
