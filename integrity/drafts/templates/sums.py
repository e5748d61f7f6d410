"""Sums and counts: what is stored of several rows must be what those rows say."""

from integrity.drafts.found import Holds
from integrity.drafts.template import ColumnWord, ReferenceWord, TableWord, Template

BALANCE_NAMES = ("balance", "balance_*", "*_balance", "*_balance_*", "available", "available_*")
AMOUNT_NAMES = ("amount", "amount_*", "*_amount", "*_amount_*", "delta", "value", "points", "quantity")
TOTAL_NAMES = ("total", "total_*", "*_total", "*_total_*", "amount", "amount_*", "*_amount")
COUNT_NAMES = ("*_count", "count_*", "count", "*_counter", "tally", "sold", "*_sold", "votes", "unread*", "likes")
CAPACITY_NAMES = ("capacity", "capacity_*", "*_capacity", "seats", "max_*", "*_max", "*limit*", "quota*")

TEMPLATES = (
    Template(
        "balance-equals-entries",
        "{balance.words} of {table.words} is the sum of {amount.words} of its {entries.words}",
        (
            ColumnWord("balance", "the stored balance", Holds.NUMBERS, BALANCE_NAMES),
            TableWord(
                "entries",
                "what the balance is made of",
                ("*entries", "*movements", "*postings", "*transactions", "*ledger*", "*history", "*changes"),
                refers_to="table",
            ),
            ReferenceWord("account", "by what an entry refers to it", of="entries"),
            ColumnWord("amount", "an entry's signed amount", Holds.NUMBERS, AMOUNT_NAMES, of="entries"),
        ),
        """
select
    {table.columns},
    {balance},
    coalesce(sum({amount}), 0) as entries_total
from {table}
left join {entries} on {account.join}
group by {table.key}, {balance}
having {balance} is distinct from coalesce(sum({amount}), 0)
order by {table.key}
""",
        why="What is paid out is what the balance says, not what the entries say.",
        hint="A call that writes the entry and the balance in two transactions, or reads the balance before it writes it.",
    ),
    Template(
        "entries-sum-to-zero",
        "{amount.words} of the {table.words} of one {transaction.words} is zero in sum",
        (
            ColumnWord(
                "transaction",
                "what the entries of one booking have in common",
                None,
                ("transaction_id", "*transaction*", "transfer_id", "*transfer*", "*journal*", "*batch*", "*booking*"),
            ),
            ColumnWord("amount", "an entry's signed amount", Holds.NUMBERS, AMOUNT_NAMES),
            ColumnWord("currency", "what the amount is of", None, ("currency*", "*_currency", "asset*"), is_optional=True),
        ),
        """
select
    {currency:|,
    }{transaction},
    sum({amount}) as total
from {table}
group by {currency:|, }{transaction}
having coalesce(sum({amount}), 0) <> 0
order by {currency:|, }{transaction}
""",
        why="In double-entry bookkeeping what one account loses another one gains; else money was made or lost.",
        hint="A booking of which one side was written and the other was not.",
    ),
    Template(
        "total-equals-lines",
        "{total.words} of {table.words} is the sum of {amount.words} of its {lines.words}",
        (
            ColumnWord("total", "the stored total", Holds.NUMBERS, TOTAL_NAMES, is_whole=True),
            TableWord(
                "lines", "what the total is made of", ("*lines", "*items", "*positions", "*details"), refers_to="table"
            ),
            ReferenceWord("parent", "by what a line refers to it", of="lines"),
            ColumnWord(
                "amount", "a line's amount", Holds.NUMBERS, ("*total*", *AMOUNT_NAMES, "price", "*price*"), of="lines"
            ),
            ColumnWord("quantity", "by what the amount is multiplied", Holds.NUMBERS, of="lines", is_optional=True),
            ColumnWord("tax", "what comes to the lines", Holds.NUMBERS, is_optional=True),
        ),
        """
select
    {table.columns},
    {total},
    coalesce(sum({amount}{quantity: * |}), 0){tax: + coalesce(|, 0)} as lines_total
from {table}
left join {lines} on {parent.join}
group by {table.key}, {total}{tax:, |}
having {total} is distinct from coalesce(sum({amount}{quantity: * |}), 0){tax: + coalesce(|, 0)}
order by {table.key}
""",
        why="The customer is asked for the total and shown the lines.",
        hint="A line that was added, changed or removed beside another, and a total that was read before.",
    ),
    Template(
        "parts-equal-amount",
        "{amount.words} of {table.words} is the sum of {parts.words}",
        (
            ColumnWord("amount", "the whole", Holds.NUMBERS, TOTAL_NAMES, is_whole=True),
            ColumnWord(
                "parts",
                "the columns that it is split into",
                Holds.NUMBERS,
                ("fee", "fee_*", "*_fee", "*_fee_*", "net*", "tax*", "*share*", "*split*", "*payout*"),
                least=2,
            ),
        ),
        """
select
    {table.columns},
    {amount},
    {parts.lines}
from {table}
where {amount} is distinct from {parts.sum}
order by {table.key}
""",
        why="What is not in a part is nobody's, and what is in two is paid twice.",
        hint="Shares that are rounded each for itself: the last one takes what is left.",
    ),
    Template(
        "counter-equals-count",
        "{counter.words} of {table.words} is the number of its {counted.words}",
        (
            ColumnWord("counter", "the stored number", Holds.NUMBERS, COUNT_NAMES, is_whole=True),
            TableWord("counted", "what is counted", ("*votes", "*tickets", "*messages", "*items", "*s"), refers_to="table"),
            ReferenceWord("parent", "by what a counted row refers to it", of="counted"),
        ),
        """
select
    {table.columns},
    {counter},
    count({parent}) as counted
from {table}
left join {counted} on {parent.join}
group by {table.key}, {counter}
having {counter} is distinct from count({parent})
order by {table.key}
""",
        why="A tally that is not its votes elects somebody else.",
        hint="Two calls that read the number, add one each, and write the same.",
    ),
    Template(
        "parts-within-amount",
        "the {parts.words} of {table.words} are together no more than its {amount.words}",
        (
            ColumnWord(
                "amount", "the most that the parts may be", Holds.NUMBERS, ("captured*", *TOTAL_NAMES), is_whole=True
            ),
            TableWord(
                "parts",
                "what is taken from it",
                ("*refunds", "*captures", "*payouts", "*allocations", "*holds"),
                refers_to="table",
            ),
            ReferenceWord("parent", "by what a part refers to it", of="parts"),
            ColumnWord("part", "a part's amount", Holds.NUMBERS, AMOUNT_NAMES, of="parts"),
        ),
        """
select
    {table.columns},
    {amount},
    sum({part}) as parts_total
from {table}
join {parts} on {parent.join}
group by {table.key}, {amount}
having sum({part}) > coalesce({amount}, 0)
order by {table.key}
""",
        why="More is given back than was ever taken.",
        hint="Two refunds at once, each of which looked at what was left before the other was written.",
    ),
    Template(
        "count-within-capacity",
        "a row of {table.words} has no more {taken.words} than its {capacity.words}",
        (
            ColumnWord("capacity", "how many there may be", Holds.NUMBERS, CAPACITY_NAMES, is_whole=True),
            TableWord(
                "taken",
                "what takes a place each",
                ("*tickets", "*bookings", "*reservations", "*registrations", "*seats", "*orders"),
                refers_to="table",
            ),
            ReferenceWord("parent", "by what it refers to it", of="taken"),
        ),
        """
select
    {table.columns},
    {capacity},
    count({parent}) as taken
from {table}
join {taken} on {parent.join}
group by {table.key}, {capacity}
having count({parent}) > {capacity}
order by {table.key}
""",
        why="Somebody has paid for a place that there is not.",
        hint="Two calls that count what is taken, find room for one more, and both take it.",
    ),
)
