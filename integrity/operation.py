"""Operations: what a client asks of a system, as a generator of steps.

An operation is written once, without I/O. It yields steps; whoever drives it (a concurrent client, the race scheduler, a
replay) carries each one out and sends the rows back. So the statements that are hammered, raced and replayed are the same
ones.

    def withdraw(*, operation_id, wallet_id, amount_minor):
        yield Begin()
        rows = yield Statement("update ... returning balance_minor", {"wallet_id": wallet_id, ...})
        if not rows:
            yield Rollback()
            return Declined("insufficient_balance")
        yield Commit()
        return Ok({"balance_minor": rows[0]["balance_minor"]})

What a driver promises: a Statement is answered with its rows (a sequence, perhaps empty), a Request with the service's
answer, every other step with None. A Statement outside Begin and Commit is a transaction of its own. When the database
refuses a step the driver throws StatementFailed into the generator; an operation that does not catch it has failed, and
the driver rolls back. A transaction that is open when the operation returns is rolled back too; where it wrote
there and returned Ok, the call has failed, as systems/left_open.py has it. Serialization failures and
deadlocks restart the operation from its first step with the same arguments, so an operation keeps no state outside itself.
The workload's driver does that for every operation; a race takes it for granted only where it is declared (Allowed).
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self

from integrity import value
from integrity.declaring import check_arguments, check_fields
from integrity.domain import Domain
from integrity.errors import UsageError
from integrity.user_code import Written, written_by_caller

Scalar = value.Scalar
Value = value.Value
Row = Mapping[str, Any]
Rows = Sequence[Row]


class Answered(tuple[Row, ...]):
    """The rows of a statement's answer, and how many rows it found or changed.

    Attributes:
        affected: as its command tag says, 1 for "UPDATE 1"; -1: it says none.
    """

    affected = -1

    @classmethod
    def by_tag(cls, rows: Iterable[Row], tag: str) -> Self:
        """Return the answer of a statement with this command tag."""
        answered = cls(rows)
        count = tag.rpartition(" ")[2]
        if count.isdecimal():
            answered.affected = int(count)
        return answered


class Isolation(Enum):
    """Transaction isolation levels, spelled as PostgreSQL spells them."""

    READ_COMMITTED = "read committed"
    REPEATABLE_READ = "repeatable read"
    SERIALIZABLE = "serializable"


@dataclass(frozen=True, slots=True)
class Begin:
    """Open a transaction; without a level, at the level the driver was told (by default read committed).

    Args:
        is_read_only: the server refuses writes in it. SQLite begins it without the write lock.
        is_deferrable: if it is serializable and read only too, it may wait as it starts, and then it is never refused.
    """

    isolation: Isolation | None = None
    is_read_only: bool = False
    is_deferrable: bool = False

    def modes(self, isolation: Isolation) -> str:
        """Return what stands behind `begin` in SQL.

        Args:
            isolation: the level if it names none.
        """
        modes = [f"isolation level {(self.isolation or isolation).value}"]
        modes += ["read only"] if self.is_read_only else []
        modes += ["deferrable"] if self.is_deferrable else []
        return ", ".join(modes)


@dataclass(slots=True)
class Statement:
    """One SQL statement in PostgreSQL's dialect with `:name` parameters.

    Nobody changes one. It is not frozen because a call makes six of them, and a frozen one takes four times as long.

    Args:
        place: where it is written, for messages, "operations/withdraw.sql:7"; empty: where the operation yields it.
        quoted: of one of psql's the parameters that stand in quotes, wherever they stand: each value has the type that a
            literal has in its place, see integrity.sql.literals. None: a parameter has one type in all of its places.
    """

    sql: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    place: str = field(default="", compare=False, repr=False)
    quoted: frozenset[str] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Commit:
    """Commit the open transaction."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """Roll the open transaction back."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call to an outside service (card processor, mint, ...), simulated by the workload."""

    service: str
    payload: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Push:
    """Events sent down an open stream to the client of this call, or the rows of a list that it asked for.

    Args:
        events: rows with stream, sequence and event_id (integers) and sent_at (when the system says it made the event);
            those of a list name no stream.
    """

    events: Rows


def events_of(rows: Rows) -> Rows:
    """Return which of the rows that were pushed are events of a stream."""
    return [row for row in rows if "stream" in row.keys()]  # noqa: SIM118  an engine's row is iterated by its values


Step = Begin | Statement | Commit | Rollback | Request | Push


@dataclass(frozen=True, slots=True)
class Ok:
    """The operation took effect; `value` is what the client is told."""

    value: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declined:
    """A correct no of the system's own, e.g. insufficient_balance, or a limit or budget of its own: not an error."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """What the system needs of others was not to be had, e.g. mint_did_not_answer: a failure to whoever asked.

    What it had written down by then may stay: a payment whose mint was silent is pending.
    """

    reason: str


Reply = Ok | Declined | Unavailable


def check_step(step: object) -> None:
    """Raise TypeError for what an operation yielded and no driver carries out."""
    if not isinstance(step, Step):
        raise TypeError(f"it yielded {step!r}, which is no step")


def check_reply(reply: object) -> None:
    """Raise TypeError for what an operation returned and no client can be told."""
    if not isinstance(reply, Reply):
        raise TypeError(f"it returned {reply!r}, which is none of Ok, Declined and Unavailable")


Steps = Generator[Step, Any, Reply]


RESTARTED = frozenset({"40001", "40P01"})
"""SQLSTATEs after which the same may succeed when it is begun again: serialization failure, deadlock."""


class StatementFailed(Exception):
    """The database refused a step.

    Args:
        sqlstate: five characters, e.g. "23505"; None when the connection was lost.
    """

    def __init__(self, message: str, *, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a call may come to beside others though it never does alone. By default nothing: a race then tells of it.

    Args:
        failures: SQLSTATEs, and names of Python's exceptions, that it may end with: "23505", "IndexError".
        declines: reasons that it may decline or be unavailable with, e.g. "in_progress", where it then has left nothing
            behind.
        retries: SQLSTATEs after which whoever makes the call makes it again, unless it has committed something; see
            RESTARTED.
    """

    failures: frozenset[str] = frozenset()
    declines: frozenset[str] = frozenset()
    retries: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_fields(self)

    def __or__(self, other: "Allowed") -> "Allowed":
        return Allowed(self.failures | other.failures, self.declines | other.declines, self.retries | other.retries)


NOTHING = Allowed()


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells a row that a call has inserted: a column holds what is that call's alone.

    Args:
        table, column: plain names, as the database has them.
        argument: whose value it is, one that no row had before; empty: `reply` says what of the reply; both empty: the
            call's operation_id.
        schema: of the table; empty: "public".
    """

    table: str
    column: str
    argument: str = ""
    reply: str = ""
    schema: str = ""
    written: Written | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "written", written_by_caller())


@dataclass(frozen=True, slots=True)
class Operation:
    """A named operation and the domains its arguments are drawn from.

    Args:
        name: e.g. "scan_in"; unique within its system.
        steps: called with operation_id and one keyword argument a domain; returns the generator.
        arguments: argument name -> the domain it is drawn from. Empty for an operation that only services start.
        allowed: beside what the system allows all of its operations.
        tables: that its statements name, as SQL does: "shop.wallets"; None: nobody knows.
        places: of an operation that is a file of SQL: where it declares each argument, "operations/withdraw.sql:3".
        marks: what tells the rows that it inserts; by these a rollback takes them out of tables that others made.
        unmarked: schema and name of tables that it inserts into, and whose rows none of `marks` tells; None: nobody knows.
        is_changing: it has statements that change rows, as far as a file of SQL tells by its text.
        group: what results and thresholds count together, e.g. "fn:whatsapp-send": what serves it; empty: none.
        weight: how often clients make such calls, relative to those of others, where no profile says.
        after: the operation that a client's call of this one follows, with what it was answered; empty: it stands alone.
        think_s: so long a client waits before it, where it has no time of its own.
        has_checks: what a client is answered is checked.
        rows: of such a file: with which its calls are likely to be accepted, "-- row event: events(seats_left = 4)".
    """

    name: str
    steps: Callable[..., Steps]
    arguments: Mapping[str, Domain]
    allowed: Allowed = NOTHING
    tables: frozenset[str] | None = None
    places: Mapping[str, str] = field(default_factory=dict, compare=False)
    marks: tuple[Mark, ...] = ()
    unmarked: frozenset[tuple[str, str]] | None = None
    is_changing: bool = False
    group: str = ""
    rows: tuple[str, ...] = ()
    weight: float = 1.0
    after: str = ""
    think_s: float = 0.0
    has_checks: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        check_arguments(self.name, self.steps, self.arguments)
        for mark in self.marks:
            if mark.argument and self.arguments and mark.argument not in self.arguments:
                hint = f"Its arguments are: {', '.join(self.arguments)}."
                reason = f"marks: {mark.table}.{mark.column} holds the argument {mark.argument!r}, which there is not"
                raise UsageError(f"operation {self.name!r}: {reason}", hint=hint)

    def start(self, **arguments: Any) -> Steps:
        """Return the generator of a call; where calling it raises, one that raises the same: it is the operation's."""
        try:
            return self.steps(**arguments)
        except Exception as error:
            return _raising(error)


def _raising(error: Exception) -> Steps:
    raise error
    yield  # it is a generator
