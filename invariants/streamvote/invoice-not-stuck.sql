-- title: no invoice stays open when its run has settled what it owed, else for longer than 15 minutes
-- severity: error
-- source: the app's promise to its viewers; a payment takes seconds, and a sweeper asks about the rest
-- why: The viewer may have paid, and the wallet shows nothing.
-- hint: Webhooks that were dropped or answered with an error, or a sweeper (check_invoice) that does not run.
-- parameter: run_id text = null
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.stars,
    invoices.created_at,
    coalesce(runs.settled_at, :stuck_before) as open_at,
    cast(invoices.operation_id as text) as operation_id
from streamvote.invoices
left join integrity.streamvote_calls as calls on calls.operation_id = invoices.operation_id
left join integrity.streamvote_runs as runs on runs.run_id = calls.run_id
where
    invoices.status = 'open'
    and (
        -- its run has delivered what was owed and taken up what was left: nobody else will
        (runs.settled_at is not null and (:run_id is null or calls.run_id = :run_id))
        -- nobody's run made it: the clock decides; what a run of which no calls are there made is that run's matter
        or (
            calls.run_id is null
            and :run_id is null
            and invoices.created_at < :stuck_before
            and not exists (
                select gaps.run_id
                from integrity.streamvote_gaps as gaps
                where invoices.created_at >= gaps.calls_from and invoices.created_at < gaps.ended_at
            )
        )
    )
order by invoices.id
