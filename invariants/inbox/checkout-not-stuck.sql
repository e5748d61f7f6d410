-- title: no checkout stays open when its run has settled what it owed, else for longer than 1 hour
-- severity: error
-- source: the processor's pages expire; what became of one can always be asked
-- why: The business paid, the webhook was lost, and nobody asked.
-- hint: settle_checkout does not run, or webhooks were dropped and nobody asked the processor.
-- parameter: run_id text = null
-- parameter: stuck_before timestamptz = now - 60 minutes
select
    checkouts.id as checkout_id,
    checkouts.business_id,
    checkouts.amount_minor,
    checkouts.created_at,
    coalesce(runs.settled_at, :stuck_before) as open_at,
    cast(checkouts.operation_id as text) as operation_id
from inbox.checkouts
left join integrity.inbox_calls as calls on calls.operation_id = checkouts.operation_id
left join integrity.inbox_runs as runs on runs.run_id = calls.run_id
where
    checkouts.status = 'open'
    and (
        -- its run has delivered what was owed and taken up what was left: nobody else will
        (runs.settled_at is not null and (:run_id is null or calls.run_id = :run_id))
        -- nobody's run made it: the clock decides; what a run of which no calls are there made is that run's matter
        or (
            calls.run_id is null
            and :run_id is null
            and checkouts.created_at < :stuck_before
            and not exists (
                select gaps.run_id
                from integrity.inbox_gaps as gaps
                where checkouts.created_at >= gaps.calls_from and checkouts.created_at < gaps.ended_at
            )
        )
    )
order by checkouts.id
