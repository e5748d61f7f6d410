"""Specs: files in isolationtester's form, as PostgreSQL tests its own isolation levels with them.

    # two withdrawals
    setup    { create table wallets (id int primary key, balance int); insert into wallets values (1, 100); }
    teardown { drop table wallets; }

    session one
    setup    { begin; }
    step read   { select balance from wallets where id = 1; }
    step write  { update wallets set balance = 20 where id = 1; }
    step commit { commit; }

    session two
    step "look again" { select balance from wallets where id = 1; }

    permutation read write "look again" commit

A name is a word or stands between double quotes, a quote in it twice. A comment goes from # to the end of the line, outside
braces. A block of SQL ends at the first closing brace. A permutation is an order of steps; without any, all are meant that
keep each session's own order. Behind a step of a permutation may stand, in parentheses, what it waits for: `*`, other
steps, `step notices 2`. That is read, and left to whoever plays it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from integrity.errors import UsageError

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|\#[^\n]*)
    | (?P<sql>\{[^}]*\})
    | (?P<name>"(?:[^"\n]|"")*"|[\w$]+)
    | (?P<mark>[(),*])
    """,
    re.VERBOSE,
)
_KEYWORDS = frozenset({"setup", "teardown", "session", "step", "permutation"})


class SpecError(UsageError):
    """A file that is not in the form; the message starts with path:line."""


@dataclass(frozen=True, slots=True)
class SpecStep:
    """One thing that a session does.

    Args:
        line: of its SQL in the file.
    """

    name: str
    sql: str
    line: int


@dataclass(frozen=True, slots=True)
class SpecSession:
    """A connection, and its steps in the order of the file.

    Args:
        setup, teardown: SQL before the first step and behind the last, or empty.
    """

    name: str
    steps: tuple[SpecStep, ...]
    setup: str = ""
    teardown: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One step in a permutation.

    Args:
        waits_for: "*", names of steps and "step notices n", as they stand behind it in parentheses.
    """

    step: str
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Permutation:
    """An order of steps.

    Args:
        line: in the file; 0 where the file has none.
    """

    turns: tuple[Turn, ...]
    line: int = 0

    @property
    def steps(self) -> tuple[str, ...]:
        return tuple(turn.step for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Spec:
    """A file.

    Args:
        setups: SQL, each to be sent by itself.
        permutations: those that are written in it; empty: all are meant.
    """

    path: Path
    setups: tuple[str, ...]
    teardown: str
    sessions: tuple[SpecSession, ...]
    permutations: tuple[Permutation, ...]

    def session_of(self, step: str) -> SpecSession:
        """Return the session that has a step of this name.

        Raises:
            KeyError: none has.
        """
        for session in self.sessions:
            if any(each.name == step for each in session.steps):
                return session
        raise KeyError(step)

    def all_permutations(self) -> Iterator[Permutation]:
        """Yield the written ones; without any, all orders that keep each session's own."""
        if self.permutations:
            yield from self.permutations
        else:
            for steps in _interleave([tuple(step.name for step in session.steps) for session in self.sessions]):
                yield Permutation(tuple(Turn(step) for step in steps))


def load_spec(path: Path) -> Spec:
    """Return what a file says.

    Raises:
        SpecError: it cannot be read, or is not in the form.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8: byte {error.start}") from None
    return parse_spec(text, path)


def parse_spec(text: str, path: Path) -> Spec:
    """Return what the text of a file says.

    Args:
        path: what errors call it by.

    Raises:
        SpecError: it is not in the form.
    """
    return _Parser(text, path).parse()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int

    @property
    def is_keyword(self) -> bool:
        return self.kind == "name" and self.text in _KEYWORDS


class _Parser:
    def __init__(self, text: str, path: Path) -> None:
        self._path = path
        self._lines = text.count("\n") + 1
        self._tokens = list(self._read_tokens(text))
        self._position = 0

    def parse(self) -> Spec:
        setups: list[str] = []
        while self._takes("setup"):
            setups.append(self._sql("setup").text)
        teardown = self._sql("teardown").text if self._takes("teardown") else ""
        sessions: list[SpecSession] = []
        while self._takes("session"):
            sessions.append(self._session())
        if not sessions:
            raise self._error(
                "expected `session`", hint="A spec has setup, teardown, sessions and permutations, in this order."
            )
        permutations: list[Permutation] = []
        while self._takes("permutation"):
            permutations.append(self._permutation())
        if self._next is not None:
            raise self._error("expected `session` or `permutation`")
        spec = Spec(self._path, tuple(setups), teardown, tuple(sessions), tuple(permutations))
        self._check(spec)
        return spec

    def _session(self) -> SpecSession:
        name = self._name("session")
        setup = self._sql("setup").text if self._takes("setup") else ""
        steps: list[SpecStep] = []
        while self._takes("step"):
            step = self._name("step")
            sql = self._sql(f"step {step}")
            steps.append(SpecStep(step, sql.text, sql.line))
        if not steps:
            raise self._error(f"expected `step`: session {name} has none")
        teardown = self._sql("teardown").text if self._takes("teardown") else ""
        return SpecSession(name, tuple(steps), setup, teardown)

    def _permutation(self) -> Permutation:
        line = self._tokens[self._position - 1].line
        turns: list[Turn] = []
        while self._next is not None and self._next.kind in ("name", "quoted") and not self._next.is_keyword:
            step = self._name("permutation")
            turns.append(Turn(step, tuple(self._waits_for(step)) if self._takes("(") else ()))
        if not turns:
            raise self._error("expected a step's name behind `permutation`")
        return Permutation(tuple(turns), line)

    def _waits_for(self, step: str) -> Iterator[str]:
        while True:
            if self._takes("*"):
                yield "*"
            else:
                other = self._name(f"what {step} waits for")
                yield f"{other} notices {self._name('notices')}" if self._takes("notices") else other
            if self._takes(")"):
                return
            if not self._takes(","):
                raise self._error(f"expected `,` or `)` in what {step} waits for")

    def _check(self, spec: Spec) -> None:
        lines: dict[str, int] = {}
        begun: dict[str, int] = {}
        for session in spec.sessions:
            line = session.steps[0].line
            if session.name in begun:
                first = begun[session.name]
                raise SpecError(
                    f"{self._path}:{line}: a second session {session.name}; the first step of the other is in line {first}",
                    hint="Each session is an operation of its own: give it another name.",
                )
            begun[session.name] = line
            for step in session.steps:
                if step.name in lines:
                    first = lines[step.name]
                    raise SpecError(f"{self._path}:{step.line}: step {step.name} is there already, in line {first}")
                lines[step.name] = step.line
        for permutation in spec.permutations:
            for turn in permutation.turns:
                named = (turn.step, *(each.split(" notices ")[0] for each in turn.waits_for if each != "*"))
                for name in named:
                    if name not in lines:
                        raise SpecError(
                            f"{self._path}:{permutation.line}: no session has a step {name}",
                            hint=f"The steps are {', '.join(lines)}.",
                        )

    # Tokens.

    @property
    def _next(self) -> _Token | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _takes(self, text: str) -> bool:
        """Go on behind a keyword or a mark, if it is there."""
        token = self._next
        if token is None or token.kind in ("sql", "quoted") or token.text != text:
            return False
        self._position += 1
        return True

    def _name(self, what: str) -> str:
        token = self._next
        if token is None or token.kind not in ("name", "quoted") or token.is_keyword:
            raise self._error(f"expected a name behind {what}", hint='A name that is a keyword stands in quotes: "step".')
        self._position += 1
        return token.text

    def _sql(self, what: str) -> _Token:
        token = self._next
        if token is None or token.kind != "sql":
            raise self._error(f"expected {{ SQL }} behind {what}")
        self._position += 1
        return token

    def _error(self, reason: str, *, hint: str = "") -> SpecError:
        token = self._next
        found = f"found {token.text.splitlines()[0] if token.text else 'an empty block'!r}" if token else "the file ends"
        return SpecError(f"{self._path}:{token.line if token else self._lines}: {reason}, {found}", hint=hint)

    def _read_tokens(self, text: str) -> Iterator[_Token]:
        position, line = 0, 1
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                what = "a { that is never closed" if text[position] == "{" else repr(text[position])
                raise SpecError(f"{self._path}:{line}: {what}", hint="SQL stands between { and }, comments behind #.")
            found = match.group()
            match match.lastgroup:
                case "sql":
                    yield _Token("sql", found[1:-1].strip(), line)
                case "name" if found.startswith('"'):
                    yield _Token("quoted", found[1:-1].replace('""', '"'), line)
                case "name" | "mark" as kind:
                    yield _Token(kind, found, line)
            position, line = match.end(), line + found.count("\n")


def _interleave(sequences: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Yield the orders of all elements in which each sequence keeps its own."""
    left = [sequence for sequence in sequences if sequence]
    if not left:
        yield ()
    for number, sequence in enumerate(left):
        for rest in _interleave([*left[:number], sequence[1:], *left[number + 1 :]]):
            yield (sequence[0], *rest)
