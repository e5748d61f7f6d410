r"""The body of an operation's file: what it does, in order, as psql would do it.

    begin isolation level serializable;                                Opens
    select balance_minor from wallets where id = :wallet_id \gset      Sends, its row kept
    \if :{?balance_minor}                                              Branches, as psql has them
    ...
    \else
    \set balance_minor 0                                               Sets
    \endif
    commit;                                                            Ends

What can be said about it without a database is said here, with its place: a transaction that is not ended, a value that
nobody has set, a condition on the rows of a statement that has none.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from integrity.operation import Begin, Isolation, Value
from integrity.sql.header import TextFault
from integrity.sql.tokens import code_tokens
from integrity.systems.script.notes import Decline, NoNote, On, Reaction, Tell, read_note
from integrity.systems.script.pieces import Kind, Piece, fault_at, read_pieces
from integrity.systems.script.statement import Command, read_command

_BEGIN = re.compile(r"(?:begin(?P<immediate> immediate)?(?: work| transaction)?|start transaction)(?P<modes>.*)")
_MODE = re.compile(
    r"[ ,]*(?:isolation level (?P<level>read committed|repeatable read|serializable)"
    r"|(?P<access>read only|read write)|(?P<deferrable>not deferrable|deferrable))"
)
_END = re.compile(r"(?P<commit>commit|end)(?: work| transaction)?|(?:rollback|abort)(?: work| transaction)?")
_SET = re.compile(r"set\s+(?P<name>[A-Za-z_]\w*)\s+(?:'(?P<text>(?:[^']|'')*)'|(?P<number>-?\d{1,18})|(?P<null>null))")
_TEST = re.compile(r":\{\?(?P<asked>[A-Za-z_]\w*)\}|:(?P<value>[A-Za-z_]\w*)|(?P<fixed>true|false|on|off|yes|no|1|0)")


@dataclass(frozen=True, slots=True)
class Sends:
    """One statement.

    Args:
        line: in the file.
        prefix: in front of the names that its row's columns are kept by; None: they are not.
        declines: asked of its row, in this order.
        reactions: to what it is refused with, by SQLSTATE.
    """

    command: Command
    line: int
    prefix: str | None = None
    declines: tuple[Decline, ...] = ()
    reactions: Mapping[str, Reaction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opens:
    """A transaction begins.

    Args:
        immediate_at: where it is said, in the text, that it takes the lock that writing takes: SQLite alone knows that, and
            transactions begin so there in any case.
    """

    begin: Begin
    immediate_at: int | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """The transaction ends.

    Args:
        reactions: to what its commit is refused with, by SQLSTATE.
    """

    is_commit: bool
    line: int
    reactions: Mapping[str, Reaction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sets:
    """A value is kept."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Test:
    """What psql asks of an `\\if`.

    Args:
        asked: whether this is set.
        value: whether this is true.
        is_fixed: neither is asked.
    """

    asked: str = ""
    value: str = ""
    is_fixed: bool = False


@dataclass(frozen=True, slots=True)
class Branches:
    """The first of these is done whose test holds."""

    arms: tuple[tuple[Test, "tuple[Node, ...]"], ...]


Node = Sends | Opens | Ends | Sets | Tell | Branches


def read_body(text: str, *, given: Sequence[str], is_lenient: bool = False) -> tuple[Node, ...]:
    """Return what the file does.

    Args:
        given: the parameters that a call has.
        is_lenient: as a server is: a begin within a transaction and an end outside one do nothing, and what is
            open at the end is rolled back.

    Raises:
        TextFault: it cannot be understood, or cannot be done.
    """
    return _Parser(text, given, is_lenient=is_lenient).parse()


def sent_by(nodes: Sequence[Node]) -> Iterator[Sends]:
    """Yield the statements, whatever branch they are in."""
    for node in nodes:
        if isinstance(node, Sends):
            yield node
        elif isinstance(node, Branches):
            for _, block in node.arms:
                yield from sent_by(block)


def opened_by(nodes: Sequence[Node]) -> Iterator[Opens]:
    """Yield the beginnings of transactions, whatever branch they are in."""
    for node in nodes:
        if isinstance(node, Opens):
            yield node
        elif isinstance(node, Branches):
            for _, block in node.arms:
                yield from opened_by(block)


def set_by(nodes: Sequence[Node]) -> Iterator[str]:
    """Yield the names that `\\set` gives a value, whatever branch it is in."""
    for node in nodes:
        if isinstance(node, Sets):
            yield node.name
        elif isinstance(node, Branches):
            for _, block in node.arms:
                yield from set_by(block)


class _Parser:
    def __init__(self, text: str, given: Sequence[str], *, is_lenient: bool) -> None:
        self._text = text
        self._is_lenient = is_lenient
        self._pieces = list(read_pieces(text))
        self._at = 0
        self._open: Piece | None = None  # what began the transaction
        self._known = set(given)
        self._is_all_known = False  # a row was kept whose columns only the server knows

    def parse(self) -> tuple[Node, ...]:
        nodes = self._block()
        if self._at < len(self._pieces):
            raise self._fault(self._pieces[self._at], "there is no \\if that it belongs to")
        if self._open is not None and self._is_lenient:
            return (*nodes, Ends(is_commit=False, line=self._line(self._open)))
        if self._open is not None:
            hint = "Write commit; or rollback; where it ends."
            self._check_ends(self._open)
            raise self._fault(self._open, "the transaction is never ended", hint=hint)
        if not any(True for _ in sent_by(nodes)):
            raise fault_at(self._text, max(0, len(self._text) - 1), "there is no statement", hint="Write what it does.")
        return nodes

    def _check_ends(self, opened: Piece) -> None:
        """Raise where the end that a transaction lacks is the last of a line within a statement: no `;` is before it."""
        for piece in self._pieces:
            if piece.kind is not Kind.COMMAND or piece.start < opened.start:
                continue
            tokens = code_tokens(piece.text)
            cases = 0
            for ahead, token in pairwise(tokens):
                cases += ahead.is_word("case") - ahead.is_word("end")
                line = piece.text[token.start :].partition("\n")[0]
                if cases <= 0 and _END.fullmatch(" ".join(each.text for each in code_tokens(line))):
                    reason = f"a semicolon is missing here, before `{token.text}`"
                    raise fault_at(self._text, piece.start + ahead.end, reason, hint="A statement ends with a semicolon.")

    def _block(self) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            if piece.kind is Kind.NOTE:
                self._take_note(piece, nodes)
            elif piece.kind is Kind.COMMAND:
                nodes.append(self._command(piece))
            elif piece.text.split()[0] in ("elif", "else", "endif"):
                return tuple(nodes)
            else:
                nodes.append(self._meta(piece))
                continue
            self._at += 1
        return tuple(nodes)

    def _command(self, piece: Piece) -> Node:
        words = " ".join(token.text for token in code_tokens(piece.text))
        line = self._line(piece)
        if begin := _BEGIN.fullmatch(words):
            if self._open is not None:
                raise self._fault(
                    piece, "a transaction is open already", hint="A savepoint stands within one: savepoint s;"
                )
            self._open = piece
            return Opens(self._modes(piece, begin["modes"].strip()), piece.start if begin["immediate"] else None)
        if end := _END.fullmatch(words):
            if self._open is None and self._is_lenient:
                return Branches(())
            if self._open is None:
                raise self._fault(piece, "no transaction is open here", hint="Write begin; where it begins.")
            self._open = None
            return Ends(bool(end["commit"]), line)
        command = read_command(piece.text)
        for name, at in command.used:
            self._check_known(name, piece.start + at)
        if piece.prefix is not None:
            if not command.has_rows:
                hint = "Add `returning` and the columns, or leave \\gset out."
                raise self._fault(piece, "this statement has no row that could be kept", hint=hint)
            columns = command.columns
            self._is_all_known |= columns is None
            self._known |= {f"{piece.prefix}{column}" for column in columns or ()}
        return Sends(command, line, piece.prefix)

    def _modes(self, piece: Piece, said: str) -> Begin:
        level, is_read_only, is_deferrable, at = None, False, False, 0
        while at < len(said):
            match = _MODE.match(said, at)
            if match is None:
                hint = "Write begin; or begin isolation level serializable, read only, deferrable;"
                raise self._fault(piece, f"{said[at:]!r} is nothing that a transaction begins with", hint=hint)
            level = Isolation(match["level"]) if match["level"] else level
            is_read_only |= match["access"] == "read only"
            is_deferrable |= match["deferrable"] == "deferrable"
            at = match.end()
        return Begin(level, is_read_only=is_read_only, is_deferrable=is_deferrable)

    def _take_note(self, piece: Piece, nodes: list[Node]) -> None:
        try:
            note = read_note(piece.text)
        except NoNote as fault:
            raise fault_at(self._text, piece.start + fault.at, str(fault), hint=fault.hint) from None
        above = nodes[-1] if nodes else None
        match note:
            case Decline():
                if not isinstance(above, Sends):
                    raise self._fault(piece, "a decline stands behind the statement whose row it asks", hint=None)
                self._check_decline(piece, note, above)
                nodes[-1] = Sends(above.command, above.line, above.prefix, (*above.declines, note), above.reactions)
            case On():
                if isinstance(above, Sends):
                    reactions = {**above.reactions, note.state: note.reaction}
                    nodes[-1] = Sends(above.command, above.line, above.prefix, above.declines, reactions)
                elif isinstance(above, Ends) and above.is_commit and not note.reaction.savepoint:
                    nodes[-1] = Ends(above.is_commit, above.line, {**above.reactions, note.state: note.reaction})
                else:
                    hint = "Put it there; in the header it is about all statements."
                    raise self._fault(piece, "it stands behind the statement that is refused", hint=hint)
            case Tell():
                columns = above.command.columns if isinstance(above, Sends) and above.command.has_rows else ()
                for name in note.names:
                    if columns is not None and name not in columns:
                        self._check_known(name, piece.start + piece.text.index(name))
                nodes.append(note)

    def _check_decline(self, piece: Piece, decline: Decline, above: Sends) -> None:
        for name in decline.condition.parameters:
            self._check_known(name, piece.start + piece.text.index(f":{name}") + 1)
        if not above.command.has_rows:
            hint = "Add `returning id`: then a row comes back for what was changed."
            raise self._fault(piece, f"the statement of line {above.line} returns no rows to be asked", hint=hint)
        columns = above.command.columns
        for name in decline.condition.columns:
            if columns is not None and name not in {column.lower() for column in columns}:
                hint = f"Its columns are: {', '.join(columns)}. A parameter is written :{name}."
                raise self._fault(piece, f"the statement of line {above.line} returns no column {name!r}", hint=hint)

    def _meta(self, piece: Piece) -> Node:
        word = piece.text.split()[0] if piece.text else ""
        if word == "if":
            return self._branches(piece)
        self._at += 1
        if match := _SET.fullmatch(piece.text):
            self._known.add(match["name"])
            if match["null"]:
                return Sets(match["name"], None)
            return Sets(match["name"], int(match["number"]) if match["number"] else match["text"].replace("''", "'"))
        hint = "Of psql's own commands \\gset, \\set name value, \\if, \\elif, \\else and \\endif are read."
        raise self._fault(
            piece, f"\\{word} is not carried out here" if word != "set" else "what is set is not known", hint=hint
        )

    def _branches(self, first: Piece) -> Branches:
        arms: list[tuple[Test, tuple[Node, ...]]] = []
        opened, after = self._open, []
        before, known = self._known, set(self._known)
        piece, word, has_else = first, "if", False
        while word != "endif":
            test = Test(is_fixed=True) if word == "else" else self._test(piece)
            has_else |= word == "else"
            self._at += 1
            self._open, self._known = opened, set(before)
            arms.append((test, self._block()))
            after.append(self._open)
            known |= self._known
            if self._at >= len(self._pieces):
                raise self._fault(first, "the \\if has no \\endif", hint=None)
            piece = self._pieces[self._at]
            word = piece.text.split()[0]
            if has_else and word != "endif":
                raise self._fault(piece, "behind \\else only \\endif can stand", hint=None)
        self._at += 1
        after += [] if has_else else [opened]
        if len({each is None for each in after}) > 1:
            hint = "Begin and end a transaction in the same branch, or outside of them."
            raise self._fault(first, "behind it a transaction is open in one branch and not in another", hint=hint)
        self._open = after[0]
        self._known = known
        return Branches(tuple(arms))

    def _test(self, piece: Piece) -> Test:
        said = piece.text.partition(" ")[2].strip()
        match = _TEST.fullmatch(said)
        if match is None:
            hint = (
                "Ask whether a value is set, \\if :{?id}, or whether it is true: select ... as is_new \\gset, \\if :is_new."
            )
            raise self._fault(piece, "what is asked is not known", hint=hint)
        if match["asked"]:
            return Test(asked=match["asked"])
        if match["value"]:
            self._check_known(match["value"], piece.start + piece.text.index(match["value"]) + 1)
            return Test(value=match["value"])
        return Test(is_fixed=said in ("true", "on", "yes", "1"))

    def _check_known(self, name: str, at: int) -> None:
        if name not in self._known and not self._is_all_known:
            hint = f"Declare it, `-- parameter {name}: integer 1..500`, or keep it: select ... as {name} ... \\gset."
            raise fault_at(self._text, at, f":{name} is set by nobody above", hint=hint)

    def _line(self, piece: Piece) -> int:
        return self._text.count("\n", 0, piece.start) + 1

    def _fault(self, piece: Piece, reason: str, *, hint: str | None = None) -> TextFault:
        return fault_at(self._text, piece.start, reason, hint=hint)
