-- title: the invoices that a run was told are paid, and when each was credited
-- why: A viewer who has paid and has no stars cannot vote; the credit is a job's, behind the webhook.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'streamvote' order by started_at desc limit 1
select
    invoices.id as invoice_id,
    told.began_at,
    case when invoices.status = 'credited' then coalesce(credited.returned_at, invoices.credited_at) end as reached_at
from (
    select
        cast(calls.arguments ->> 'invoice_id' as bigint) as invoice_id,
        min(calls.invoked_at) as began_at
    from integrity.streamvote_calls as calls
    where
        calls.run_id = :run_id
        and calls.operation = 'receive_payment_webhook'
        and calls.arguments ->> 'kind' = 'paid'
        and calls.outcome in ('ok', 'unavailable', 'unknown')
    group by cast(calls.arguments ->> 'invoice_id' as bigint)
) as told
join streamvote.invoices on invoices.id = told.invoice_id
left join (
    select
        cast(calls.arguments ->> 'invoice_id' as bigint) as invoice_id,
        min(calls.returned_at) as returned_at
    from integrity.streamvote_calls as calls
    where calls.run_id = :run_id and calls.operation = 'credit_invoice' and calls.outcome = 'ok'
    group by cast(calls.arguments ->> 'invoice_id' as bigint)
) as credited on credited.invoice_id = told.invoice_id
where invoices.status <> 'expired'
order by told.began_at, invoices.id
