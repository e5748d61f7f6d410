-- title: no invoice stays paid without its credit when its run has settled what it owed, else for longer than a minute
-- severity: error
-- source: payments; who has paid has the stars at once
-- why: The viewer has paid, the provider was answered, and nobody will try again.
-- hint: A job that was lost, or declined before what it is about was committed; the sweeper (credit_invoice) mends it.
-- parameter: run_id text = null
-- parameter: paid_before timestamptz = now - 1 minute
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.stars,
    invoices.paid_at,
    coalesce(runs.settled_at, :paid_before) as open_at,
    cast(invoices.operation_id as text) as operation_id
from streamvote.invoices
left join integrity.streamvote_calls as calls on calls.operation_id = invoices.operation_id
left join integrity.streamvote_runs as runs on runs.run_id = calls.run_id
where
    invoices.status = 'paid'
    and (
        -- its run has delivered what was owed and taken up what was left: nobody else will
        (runs.settled_at is not null and (:run_id is null or calls.run_id = :run_id))
        -- nobody's run made it: the clock decides; what a run of which no calls are there made is that run's matter
        or (
            calls.run_id is null
            and :run_id is null
            and invoices.paid_at < :paid_before
            and not exists (
                select gaps.run_id
                from integrity.streamvote_gaps as gaps
                where invoices.created_at >= gaps.calls_from and invoices.created_at < gaps.ended_at
            )
        )
    )
order by invoices.id
