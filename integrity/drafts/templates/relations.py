"""Rows that belong together: once only, with what they refer to, in order, and not over one another."""

from integrity.drafts.found import Holds
from integrity.drafts.template import ColumnWord, ReferenceWord, TableWord, Template, ValuesWord
from integrity.drafts.templates.rows import FIRST_TIMES, LATER_TIMES, STATUS

OWNER_NAMES = ("user_id", "owner_id", "customer_id", "account_id", "wallet_id", "*_id")
CURRENCY_NAMES = ("currency", "currency_*", "*_currency", "asset", "asset_*")
ORDER_NAMES = ("id", "sequence*", "seq", "number", "*_at")
STARTS = ("starts_at", "start_at", "start*", "*from", "begins*", *FIRST_TIMES)
ENDS = ("ends_at", "end_at", "end*", "*until", "*_to", *LATER_TIMES)

TEMPLATES = (
    Template(
        "key-used-once",
        "no two rows of {table.words} have the same {key.words}",
        (
            ColumnWord(
                "key",
                "the columns that no two rows share",
                None,
                ("idempotency_key", "*idempotency*", "event_id", "external_*", "*reference*", "*_key"),
                least=1,
            ),
        ),
        """
select
    {key.lines},
    count(*) as row_count
from {table}
where {key.present}
group by {key}
having count(*) > 1
order by {key}
""",
        why="What was asked for once was done twice.",
        hint="A call that looks the key up and then inserts it: only a unique constraint keeps two of them apart.",
    ),
    Template(
        "one-active-per-owner",
        "no {owner.words} has two rows of {table.words} at once that are {values}",
        (
            STATUS,
            ValuesWord("values", "the states of which there may be one", default="active"),
            ColumnWord("owner", "whose they are", None, OWNER_NAMES),
        ),
        """
select
    {owner},
    count(*) as row_count
from {table}
where {status} in ({values}) and {owner.present}
group by {owner}
having count(*) > 1
order by {owner}
""",
        why="Two subscriptions of one customer are charged for twice.",
        hint="A call that looks whether there is one, and then makes one.",
    ),
    Template(
        "reference-exists",
        "what {reference.words} of {table.words} refers to is there",
        (
            ColumnWord("reference", "the column that refers", None, ("*_id", "*_uuid")),
            TableWord("referred", "what it refers to", named_by="reference"),
            ColumnWord("key", "the column there", None, ("id", "uuid", "*"), of="referred"),
        ),
        """
select
    {table.columns},
    {reference}
from {table}
left join {referred} as referred on referred.{key.name} = {reference}
where {reference} is not null and referred.{key.name} is null
order by {table.key}
""",
        why="It is an entry of nobody's: no sum over what it refers to counts it.",
        hint="What it refers to was deleted, or was never committed.",
    ),
    Template(
        "status-has-row",
        "a row of {table.words} that is {values} has {others.words}",
        (
            STATUS,
            ValuesWord("values", "the states that promise it", default="paid"),
            TableWord(
                "others",
                "what there must be one of",
                ("*credits", "*payments", "*receipts", "*entries", "*events", "*audit*", "*outbox*"),
                refers_to="table",
            ),
            ReferenceWord("parent", "by what it refers to it", of="others"),
        ),
        """
select
    {table.columns},
    {status}
from {table}
where
    {status} in ({values})
    and not exists (select 1 from {others} where {parent.join})
order by {table.key}
""",
        why="It was paid for, and nothing was given for it.",
        hint="The state and what it promises are written in two transactions.",
    ),
    Template(
        "currency-matches",
        "{mine.words} of {table.words} is {theirs.words} of its {other.words}",
        (
            ColumnWord("mine", "the currency", Holds.WORDS, CURRENCY_NAMES),
            TableWord("other", "what has the same currency", referred_by="table"),
            ReferenceWord("parent", "by what it refers to it", of="table", to="other"),
            ColumnWord("theirs", "the currency there", Holds.WORDS, CURRENCY_NAMES, of="other"),
        ),
        """
select
    {table.columns},
    {mine},
    {theirs} as other_currency
from {table}
join {other} on {parent.join}
where {mine} is distinct from {theirs}
order by {table.key}
""",
        why="A sum of two currencies is no amount.",
        hint="A transfer between accounts of two currencies, booked with one of them.",
    ),
    Template(
        "no-gap-in-sequence",
        "{number.words} of {table.words} goes up by one within {group.words}",
        (
            ColumnWord(
                "number",
                "the number",
                Holds.NUMBERS,
                ("sequence", "sequence_*", "*_sequence", "seq", "position", "number", "*_number", "*_no"),
            ),
            ColumnWord("group", "within what it counts", None, ("conversation_id", "account_id", "stream_id", "*_id")),
        ),
        """
select
    numbered.{group.name},
    numbered.{number.name},
    numbered.number_before
from (
    select
        {group},
        {number},
        lag({number}) over (partition by {group} order by {number}) as number_before
    from {table}
    where {group.present}
) as numbered
where numbered.{number.name} <> numbered.number_before + 1
order by numbered.{group.name}, numbered.{number.name}
""",
        why="A reader who follows the numbers waits for ever for one that is missing, and skips one that comes twice.",
        hint="Two calls that read the highest number and both take the next one.",
    ),
    Template(
        "starts-where-the-last-ended",
        "{before.words} of {table.words} is {after.words} of the row before it",
        (
            ColumnWord(
                "before", "what it was before", Holds.NUMBERS, ("previous_balance", "previous_*", "*_before", "opening_*")
            ),
            ColumnWord(
                "after",
                "what it was afterwards",
                Holds.NUMBERS,
                ("current_balance", "balance_after", "*_after", "closing_*", "new_*", "balance", "*_balance"),
            ),
            ColumnWord("group", "of what it is told", None, OWNER_NAMES),
            ColumnWord("order", "in which order", None, ORDER_NAMES),
        ),
        """
select
    chained.{group.name},
    chained.{order.name},
    chained.{before.name},
    chained.last_after
from (
    select
        {group},
        {order},
        {before},
        lag({after}) over (partition by {group} order by {order}) as last_after,
        row_number() over (partition by {group} order by {order}) as position
    from {table}
    where {group.present}
) as chained
where chained.position > 1 and chained.{before.name} is distinct from chained.last_after
order by chained.{group.name}, chained.{order.name}
""",
        why="Where one entry does not begin with what the last one left, a change is lost between them.",
        hint="Two calls that read the same last entry: lost update.",
    ),
    Template(
        "no-overlap",
        "no two rows of {table.words} of one {resource.words} overlap in time",
        (
            ColumnWord("starts", "when it begins", Holds.TIMES, STARTS),
            ColumnWord("ends", "when it is over", Holds.TIMES, ENDS),
            ColumnWord("resource", "what only one can have", None, ("room_id", "resource_id", "seat_id", "*_id")),
        ),
        """
select
    booked.{resource.name},
    booked.{starts.name},
    booked.{ends.name},
    booked.taken_until,
    booked.open_before
from (
    select
        {resource},
        {starts},
        {ends},
        max({ends}) over earlier as taken_until,
        sum(case when {ends} is null then 1 else 0 end) over earlier as open_before
    from {table}
    where {resource.present} and {starts.present}
    window earlier as (
        partition by {resource}
        order by {starts}, {ends}
        rows between unbounded preceding and 1 preceding
    )
) as booked
where booked.taken_until > booked.{starts.name} or booked.open_before > 0
order by booked.{resource.name}, booked.{starts.name}, booked.{ends.name}
""",
        why="Two guests stand before one door.",
        hint="A call that looks for a booking at that time, finds none, and makes one.",
    ),
    Template(
        "alternates",
        "{direction.words} of {table.words} of one {subject.words} is never the same twice in a row",
        (
            ColumnWord(
                "direction",
                "what alternates, as in and out",
                Holds.WORDS,
                ("direction", "*direction*", "kind", "type", "action", "event"),
            ),
            ColumnWord("subject", "whose they are", None, ("ticket_id", "wristband_id", "card_id", "*_id")),
            ColumnWord("order", "in which order", None, ORDER_NAMES),
        ),
        """
select
    scanned.{subject.name},
    scanned.{order.name},
    scanned.{direction.name}
from (
    select
        {subject},
        {order},
        {direction},
        lag({direction}) over (partition by {subject} order by {order}) as direction_before
    from {table}
    where {subject.present}
) as scanned
where scanned.{direction.name} = scanned.direction_before
order by scanned.{subject.name}, scanned.{order.name}
""",
        why="Who goes in twice has let somebody else in.",
        hint="Two scans at once that both see the last one.",
    ),
)
