-- title: an invoice whose credit was asked for after it was paid is credited
-- severity: error
-- source: at-least-once jobs; a job that was answered is not made again
-- why: The job was answered, so nobody asks again; the viewer has paid for stars that never come.
-- hint: The job was queued before the commit of what it is about, so that it ran too early and found nothing to do.
-- parameter: run_id text = null
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.stars,
    invoices.paid_at,
    answered.run_id,
    answered.call_count,
    cast(invoices.operation_id as text) as operation_id
from (
    select
        calls.run_id,
        cast(calls.arguments ->> 'invoice_id' as bigint) as invoice_id,
        max(calls.invoked_at) as last_invoked_at,
        count(*) as call_count
    from integrity.streamvote_calls as calls
    join integrity.streamvote_runs as runs on runs.run_id = calls.run_id and runs.state = 'finished'
    where
        calls.operation = 'credit_invoice'
        and calls.outcome in ('ok', 'declined')
        and (:run_id is null or calls.run_id = :run_id)
    group by calls.run_id, cast(calls.arguments ->> 'invoice_id' as bigint)
) as answered
join streamvote.invoices on invoices.id = answered.invoice_id
where invoices.status = 'paid' and answered.last_invoked_at >= invoices.paid_at
order by invoices.id, answered.run_id
