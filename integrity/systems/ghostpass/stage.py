"""The rows that a race of ghostpass is played on: a small world of its own, in which every invariant holds.

- wallets_1 was in and left, and bought once; it holds 3000, enough for one dear sale or one re-entry with a sale, not for
  two: where two calls spend, only one may. Its funding of 700 is pending and has two events that can settle it.
- wallets_2 is inside. wallets_3 has never been in and holds nothing.
"""

from integrity.operation import Ok, Rows, Statement, Steps

# One statement and so one round trip: a race makes thousands of these. Foreign keys are checked at its end.
_STAGE = """
with
first as (
    insert into ghostpass.wallets (code, balance_minor) values ('race-' || gen_random_uuid(), 3000) returning id
),
second as (
    insert into ghostpass.wallets (code, balance_minor) values ('race-' || gen_random_uuid(), 4000) returning id
),
third as (
    insert into ghostpass.wallets (code, balance_minor) values ('race-' || gen_random_uuid(), 0) returning id
),
gateway as (
    insert into ghostpass.gateways (name, reentry_fee_minor) values ('race-' || gen_random_uuid(), 1500) returning id
),
terminal as (
    insert into ghostpass.terminals (name, platform_fee_bps, venue_share_bps)
    values ('race-' || gen_random_uuid(), 250, 1000)
    returning id
),
confirmed as (
    insert into ghostpass.fundings (wallet_id, amount_minor, status, operation_id, settled_at)
    select wallets.id, 4000, 'confirmed', gen_random_uuid(), current_timestamp
    from (select id from first union all select id from second) as wallets
    returning id, wallet_id, amount_minor, operation_id
),
pending as (
    insert into ghostpass.fundings (wallet_id, amount_minor, status, operation_id)
    select first.id, 700, 'pending', gen_random_uuid()
    from first
    returning id, operation_id
),
events as (
    insert into ghostpass.webhook_events (event_id, funding_id, kind, operation_id)
    select 'race-' || gen_random_uuid(), confirmed.id, 'payment_succeeded', gen_random_uuid()
    from confirmed
    returning funding_id, operation_id
),
sale as (
    insert into ghostpass.sales (wallet_id, terminal_id, amount_minor, platform_fee_minor, operation_id)
    select first.id, terminal.id, 1000, 25, gen_random_uuid()
    from first, terminal
    returning id, wallet_id, operation_id
),
split as (
    insert into ghostpass.splits (sale_id, party, amount_minor)
    select sale.id, shares.party, shares.amount_minor
    from sale, (values ('platform', 25), ('venue', 100), ('vendor', 875)) as shares (party, amount_minor)
),
entry as (
    insert into ghostpass.entries (account, wallet_id, kind, amount_minor, reference, operation_id)
    select 'wallet', confirmed.wallet_id, 'funding', confirmed.amount_minor, confirmed.id, events.operation_id
    from confirmed join events on events.funding_id = confirmed.id
    union all
    select 'processor', null, 'funding', -confirmed.amount_minor, confirmed.id, events.operation_id
    from confirmed join events on events.funding_id = confirmed.id
    union all
    select 'wallet', sale.wallet_id, 'sale', -1000, sale.id, sale.operation_id from sale
    union all
    select shares.account, null, 'sale', shares.amount_minor, sale.id, sale.operation_id
    from sale, (values ('platform', 25), ('venue', 100), ('vendor', 875)) as shares (account, amount_minor)
),
scan as (
    insert into ghostpass.scans
        (wallet_id, gateway_id, direction, is_accepted, entry_number, fee_minor, operation_id)
    select scanned.wallet_id, gateway.id, scanned.direction, true, scanned.entry_number, 0, gen_random_uuid()
    from gateway, (
        select first.id as wallet_id, 'in' as direction, 1 as entry_number from first
        union all
        select first.id, 'out', null from first
        union all
        select second.id, 'in', 1 from second
    ) as scanned
    returning id, direction, operation_id
),
presence as (
    insert into ghostpass.presences (wallet_id, is_inside, entry_count)
    select first.id, false, 1 from first
    union all
    select second.id, true, 1 from second
    union all
    select third.id, false, 0 from third
),
audit as (
    insert into ghostpass.audit_log (action, subject, subject_id, operation_id)
    select 'funding_requested', 'funding', confirmed.id, confirmed.operation_id from confirmed
    union all
    select 'funding_requested', 'funding', pending.id, pending.operation_id from pending
    union all
    select 'payment_succeeded', 'funding', events.funding_id, events.operation_id from events
    union all
    select 'sold', 'sale', sale.id, sale.operation_id from sale
    union all
    select 'scanned_' || scan.direction, 'scan', scan.id, scan.operation_id from scan
)
select
    first.id as wallets_1,
    second.id as wallets_2,
    third.id as wallets_3,
    gateway.id as gateways_1,
    terminal.id as terminals_1,
    pending.id as fundings_1,
    sale.id as sales_1,
    'race-' || gen_random_uuid() as events_1,
    'race-' || gen_random_uuid() as events_2
from first, second, third, gateway, terminal, pending, sale
"""


def stage() -> Steps:
    """Make the world; return its keys by pool and number, e.g. wallets_1."""
    rows: Rows = yield Statement(_STAGE)
    return Ok(rows[0])
