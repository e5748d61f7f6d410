"""For each template of invariants tables that it fits, rows that it accepts, and rows that it must reject.

Each case has tables of its own names, so that all stand in one database. Columns have the names that applications give
them; only what no name tells is given.
"""

from dataclasses import dataclass, field

STARTED = "2026-01-10 09:00:00+00:00"
EARLIER = "2026-01-10 08:00:00+00:00"
LATER = "2026-01-10 10:00:00+00:00"
LATEST = "2026-01-10 11:00:00+00:00"
FUTURE = "2199-01-01 00:00:00+00:00"


@dataclass(frozen=True)
class Case:
    """A template's tables.

    Args:
        table: that the invariant is about.
        made: what makes the tables, as both engines read it.
        right, wrong: rows, as inserts; the wrong ones come to the right ones.
        row_count: rows of the answer when they are there.
        given: words that are said.
    """

    table: str
    made: tuple[str, ...]
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    row_count: int = 1
    given: dict[str, str] = field(default_factory=dict)


CASES = {
    "balance-equals-entries": Case(
        "wallets",
        (
            "create table wallets (id integer primary key, balance_minor bigint not null)",
            "create table wallet_entries (id integer primary key, wallet_id integer not null references wallets (id),"
            " amount_minor bigint not null)",
        ),
        ("insert into wallets values (1, 300), (2, 0)", "insert into wallet_entries values (1, 1, 500), (2, 1, -200)"),
        ("insert into wallets values (3, 5)", "insert into wallet_entries values (3, 2, 7)"),
        2,
    ),
    "entries-sum-to-zero": Case(
        "postings",
        (
            "create table postings (id integer primary key, transaction_id integer not null, currency text not null,"
            " amount bigint not null)",
        ),
        ("insert into postings values (1, 1, 'EUR', 50), (2, 1, 'EUR', -50), (3, 2, 'USD', 9), (4, 2, 'USD', -9)",),
        ("insert into postings values (5, 3, 'EUR', 50), (6, 3, 'USD', -50), (7, 4, 'EUR', 1)",),
        3,
    ),
    "total-equals-lines": Case(
        "invoices",
        (
            "create table invoices (id integer primary key, total numeric(12, 2), tax numeric(12, 2))",
            "create table invoice_lines (id integer primary key, invoice_id integer not null references invoices (id),"
            " quantity integer not null, unit_price numeric(12, 2) not null)",
        ),
        (
            "insert into invoices values (1, 23, 3), (2, 0, 0), (4, 7, null)",
            "insert into invoice_lines values (1, 1, 2, 5), (2, 1, 1, 10), (4, 4, 1, 7)",
        ),
        (
            "insert into invoices values (3, 10, 0), (5, null, null)",
            "insert into invoice_lines values (3, 3, 1, 9), (5, 5, 1, 9)",
        ),
        2,
        given={"amount": "unit_price", "quantity": "quantity", "tax": "tax"},
    ),
    "parts-equal-amount": Case(
        "payouts",
        ("create table payouts (id integer primary key, amount integer not null, fee integer, net integer not null)",),
        ("insert into payouts values (1, 100, 3, 97), (2, 50, null, 50)",),
        ("insert into payouts values (3, 100, 3, 98)",),
    ),
    "counter-equals-count": Case(
        "polls",
        (
            "create table polls (id integer primary key, votes_count integer not null)",
            "create table poll_votes (id integer primary key, poll_id integer not null references polls (id))",
        ),
        ("insert into polls values (1, 2), (2, 0)", "insert into poll_votes values (1, 1), (2, 1)"),
        ("insert into polls values (3, 1)", "insert into poll_votes values (3, 2)"),
        2,
    ),
    "parts-within-amount": Case(
        "charges",
        (
            "create table charges (id integer primary key, captured_amount integer)",
            "create table refunds (id integer primary key, charge_id integer not null references charges (id),"
            " amount integer not null)",
        ),
        ("insert into charges values (1, 100), (2, 10), (3, null)", "insert into refunds values (1, 1, 60), (2, 1, 40)"),
        ("insert into refunds values (3, 2, 6), (4, 2, 5), (5, 3, 1)",),
        2,
    ),
    "count-within-capacity": Case(
        "shows",
        (
            "create table shows (id integer primary key, capacity integer not null)",
            "create table tickets (id integer primary key, show_id integer not null references shows (id))",
        ),
        ("insert into shows values (1, 2), (2, 1)", "insert into tickets values (1, 1), (2, 1)"),
        ("insert into tickets values (3, 2), (4, 2)",),
    ),
    "no-negative-balance": Case(
        "purses",
        ("create table purses (id integer primary key, balance integer not null)",),
        ("insert into purses values (1, 0), (2, 5)",),
        ("insert into purses values (3, -1)",),
    ),
    "within-limit": Case(
        "credit_lines",
        ("create table credit_lines (id integer primary key, used_minor integer not null, credit_limit integer not null)",),
        ("insert into credit_lines values (1, 5, 5)",),
        ("insert into credit_lines values (2, 6, 5)",),
    ),
    "closed-is-empty": Case(
        "savings",
        ("create table savings (id integer primary key, status text not null, balance integer)",),
        ("insert into savings values (1, 'open', 5), (2, 'closed', 0)",),
        ("insert into savings values (3, 'closed', 1), (4, 'closed', null)",),
        2,
    ),
    "status-has-time": Case(
        "bills",
        ("create table bills (id integer primary key, status text not null, paid_at timestamp)",),
        (f"insert into bills values (1, 'open', null), (2, 'paid', '{LATER}')",),
        ("insert into bills values (3, 'paid', null)",),
    ),
    "times-in-order": Case(
        "errands",
        ("create table errands (id integer primary key, created_at timestamp not null, completed_at timestamp)",),
        (f"insert into errands values (1, '{STARTED}', null), (2, '{STARTED}', '{LATER}')",),
        (f"insert into errands values (3, '{STARTED}', '{EARLIER}')",),
    ),
    "not-in-the-future": Case(
        "sightings",
        ("create table sightings (id integer primary key, created_at timestamp with time zone not null)",),
        (f"insert into sightings values (1, '{STARTED}')",),
        (f"insert into sightings values (2, '{FUTURE}')",),
    ),
    "not-stuck": Case(
        "fundings",
        ("create table fundings (id integer primary key, status text not null, requested_at timestamp with time zone)",),
        (f"insert into fundings values (1, 'done', '{STARTED}'), (2, 'pending', '{FUTURE}'), (4, 'done', null)",),
        (f"insert into fundings values (3, 'pending', '{STARTED}'), (5, 'pending', null)",),
        2,
    ),
    "key-used-once": Case(
        "deliveries",
        ("create table deliveries (id integer primary key, idempotency_key text)",),
        ("insert into deliveries values (1, 'a'), (2, 'b'), (3, null), (4, null)",),
        ("insert into deliveries values (5, 'a')",),
    ),
    "one-active-per-owner": Case(
        "subscriptions",
        ("create table subscriptions (id integer primary key, customer_id integer, status text not null)",),
        (
            "insert into subscriptions values (1, 1, 'active'), (2, 1, 'ended'), (3, 2, 'active'),"
            " (8, null, 'active'), (9, null, 'active')",
        ),
        ("insert into subscriptions values (4, 2, 'active')",),
    ),
    "reference-exists": Case(
        "letters",
        (
            "create table envelopes (id integer primary key)",
            "create table letters (id integer primary key, envelope_id integer)",
        ),
        ("insert into envelopes values (1)", "insert into letters values (1, 1), (2, null)"),
        ("insert into letters values (3, 2)",),
    ),
    "status-has-row": Case(
        "topups",
        (
            "create table topups (id integer primary key, status text not null)",
            "create table topup_credits (id integer primary key, topup_id integer not null references topups (id))",
        ),
        ("insert into topups values (1, 'open'), (2, 'paid')", "insert into topup_credits values (1, 2)"),
        ("insert into topups values (3, 'paid')",),
    ),
    "currency-matches": Case(
        "moves",
        (
            "create table ledgers (id integer primary key, currency text not null)",
            "create table moves (id integer primary key, ledger_id integer not null references ledgers (id),"
            " currency text not null)",
        ),
        ("insert into ledgers values (1, 'EUR')", "insert into moves values (1, 1, 'EUR')"),
        ("insert into moves values (2, 1, 'USD')",),
    ),
    "no-gap-in-sequence": Case(
        "notes",
        ("create table notes (id integer primary key, conversation_id integer, sequence integer not null)",),
        ("insert into notes values (1, 1, 1), (2, 1, 2), (3, 2, 7), (8, null, 1), (9, null, 7)",),
        ("insert into notes values (4, 1, 4), (5, 2, 7)",),
        2,
    ),
    "starts-where-the-last-ended": Case(
        "changes",
        (
            "create table changes (id integer primary key, account_id integer, balance_before integer not null,"
            " balance_after integer)",
        ),
        (
            "insert into changes values (1, 1, 0, 5), (2, 1, 5, 3), (3, 2, 9, 8), (5, 3, 4, null),"
            " (8, null, 1, 2), (9, null, 7, 8)",
        ),
        ("insert into changes values (4, 1, 5, 4), (6, 3, 7, 8)",),
        2,
    ),
    "no-overlap": Case(
        "stays",
        ("create table stays (id integer primary key, room_id integer, starts_at timestamp, ends_at timestamp)",),
        (
            f"insert into stays values (1, 1, '{EARLIER}', '{STARTED}'), (2, 1, '{STARTED}', '{LATEST}'),"
            f" (3, 2, '{EARLIER}', '{LATEST}'), (4, 3, '{EARLIER}', '{STARTED}'), (5, 3, '{STARTED}', null),"
            f" (6, 4, '{EARLIER}', null), (7, 5, '{STARTED}', null), (8, 6, '{STARTED}', '{LATER}'),"
            f" (9, 6, null, null), (10, 6, null, null), (15, null, '{STARTED}', null), (16, null, '{LATER}', null)",
        ),
        (
            f"insert into stays values (11, 2, '{STARTED}', '{LATER}'), (12, 3, '{LATER}', null),"
            f" (13, 4, '{STARTED}', '{LATER}'), (14, 5, '{STARTED}', '{LATER}')",
        ),
        4,
    ),
    "alternates": Case(
        "scans",
        ("create table scans (id integer primary key, ticket_id integer, direction text not null)",),
        ("insert into scans values (1, 1, 'in'), (2, 2, 'in'), (3, 1, 'out'), (8, null, 'in'), (9, null, 'in')",),
        ("insert into scans values (4, 2, 'in')",),
    ),
}
