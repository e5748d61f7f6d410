-- title: what a client was told has happened is in the database
-- severity: error
-- source: durability; an answer of ok is a promise
-- why: The guest saw "paid" or "welcome", and nothing remembers it.
-- hint: An answer given before the commit, synchronous_commit switched off, or a restore from an old backup.
-- parameter: run_id text = null
select
    calls.run_id,
    calls.operation,
    calls.client,
    calls.arguments,
    calls.reply,
    calls.returned_at,
    cast(calls.operation_id as text) as operation_id
from integrity.ghostpass_calls as calls
left join (
    select
        fundings.operation_id,
        'request_funding' as operation
    from ghostpass.fundings
    union all
    select
        webhook_events.operation_id,
        'receive_funding_webhook' as operation
    from ghostpass.webhook_events
    union all
    select
        scans.operation_id,
        case scans.direction when 'in' then 'scan_in' else 'scan_out' end as operation
    from ghostpass.scans
    where scans.is_accepted
    union all
    select
        sales.operation_id,
        'sell' as operation
    from ghostpass.sales
    union all
    select
        entries.operation_id,
        'refund_sale' as operation
    from ghostpass.entries
    where entries.kind = 'refund' and entries.account = 'wallet'
) as effects on effects.operation_id = calls.operation_id and effects.operation = calls.operation
where
    calls.outcome = 'ok'
    and calls.operation in ('request_funding', 'receive_funding_webhook', 'scan_in', 'scan_out', 'sell', 'refund_sale')
    and calls.run_id = coalesce(:run_id, calls.run_id)
    and effects.operation_id is null
order by calls.returned_at, calls.operation_id
