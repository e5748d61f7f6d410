"""Rows that are wrong by themselves: balances, limits, states and times."""

from integrity.drafts.found import Holds
from integrity.drafts.template import ColumnWord, Template, ValuesWord
from integrity.drafts.templates.sums import BALANCE_NAMES, CAPACITY_NAMES

STATUS_NAMES = ("status", "state", "*_status", "*_state", "phase")
FIRST_TIMES = ("created_at", "opened_at", "requested_at", "ordered_at", "started_at", "starts_at", "*created*", "*start*")
LATER_TIMES = (
    "paid_at",
    "settled_at",
    "completed_at",
    "finished_at",
    "ended_at",
    "closed_at",
    "ends_at",
    "shipped_at",
    "delivered_at",
    "expires_at",
)
STATUS = ColumnWord("status", "the column of the state", Holds.WORDS, STATUS_NAMES)

TEMPLATES = (
    Template(
        "no-negative-balance",
        "{balance.words} of {table.words} is never negative",
        (ColumnWord("balance", "what must not be below zero", Holds.NUMBERS, (*BALANCE_NAMES, "stock*", "*remaining*")),),
        """
select
    {table.columns},
    {balance}
from {table}
where {balance} < 0
order by {table.key}
""",
        why="Something was spent that was not there.",
        hint="Two calls that read the same balance, find enough in it, and both take from it.",
    ),
    Template(
        "within-limit",
        "{value.words} of {table.words} is at most its {limit.words}",
        (
            ColumnWord(
                "limit",
                "the most that it may be",
                Holds.NUMBERS,
                ("posted*", "ledger_balance", *CAPACITY_NAMES),
                is_whole=True,
            ),
            ColumnWord(
                "value",
                "what is limited",
                Holds.NUMBERS,
                ("used*", "*_used", "held*", "reserved*", "sold*", *BALANCE_NAMES),
            ),
        ),
        """
select
    {table.columns},
    {value},
    {limit}
from {table}
where {value} > {limit}
order by {table.key}
""",
        why="More was given than may be given.",
        hint="The limit is looked at in one statement, and the value written in another.",
    ),
    Template(
        "closed-is-empty",
        "{balance.words} of a row of {table.words} is zero when its {status.words} says that it is over",
        (
            STATUS,
            ValuesWord("values", "the states in which nothing may be left", default="closed"),
            ColumnWord("balance", "what must be zero", Holds.NUMBERS, BALANCE_NAMES),
        ),
        """
select
    {table.columns},
    {status},
    {balance}
from {table}
where {status} in ({values}) and {balance} is distinct from 0
order by {table.key}
""",
        why="Money on a closed account is nobody's.",
        hint="A payment that arrives while the account is being closed.",
    ),
    Template(
        "status-has-time",
        "a row of {table.words} whose {status.words} says so has {at.words}",
        (
            STATUS,
            ColumnWord("at", "the column that must have a value then", None, LATER_TIMES),
            ValuesWord("values", "the states that it goes with", made_from="at"),
        ),
        """
select
    {table.columns},
    {status},
    {at}
from {table}
where {status} in ({values}) and {at} is null
order by {table.key}
""",
        why="What says that it was done, and not when, was perhaps not done.",
        hint="A state that is set in two places, in one of them without the rest.",
    ),
    Template(
        "times-in-order",
        "{later.words} of {table.words} is not before {first.words}",
        (
            ColumnWord("first", "what comes first", Holds.TIMES, FIRST_TIMES),
            ColumnWord("later", "what comes behind it", Holds.TIMES, LATER_TIMES),
        ),
        """
select
    {table.columns},
    {first},
    {later}
from {table}
where {later} < {first}
order by {table.key}
""",
        why="What ends before it begins counts in no report, or in two.",
        hint="Times of two machines' clocks, or of the client's.",
    ),
    Template(
        "not-in-the-future",
        "{at.words} of {table.words} is not in the future",
        (ColumnWord("at", "when it happened", Holds.TIMES, (*FIRST_TIMES[:5], *LATER_TIMES[:6], "*_at")),),
        """
select
    {table.columns},
    {at}
from {table}
where {at} > :latest
order by {table.key}
""",
        why="What has not happened yet is already counted.",
        hint="A time that the client says, or one without its time zone.",
        parameter="latest timestamptz = now + 1 minute",
    ),
    Template(
        "not-stuck",
        "no row of {table.words} stays {values} for long",
        (
            STATUS,
            ValuesWord("values", "the states that pass by themselves", default="pending"),
            ColumnWord(
                "since", "since when it is in that state", Holds.TIMES, ("*updated*", "requested_at", *FIRST_TIMES, "*_at")
            ),
        ),
        """
select
    {table.columns},
    {status},
    {since}
from {table}
where {status} in ({values}) and ({since} < :stuck_before or {since} is null)
order by {table.key}
""",
        why="Somebody waits for what nobody is doing.",
        hint="A job that died, or a webhook that was answered with an error and not sent again.",
        parameter="stuck_before timestamptz = now - 15 minutes",
    ),
)
