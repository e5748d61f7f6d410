-- title: no funding stays pending when its run has settled what it owed, else for longer than 15 minutes
-- severity: error
-- source: the venue's promise to its guests; a processor's webhook takes seconds
-- why: The guest's card was charged and the wallet shows nothing.
-- hint: Webhooks that were dropped or answered with an error, or a run that stopped before they were delivered.
-- parameter: run_id text = null
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    fundings.id as funding_id,
    fundings.wallet_id,
    fundings.amount_minor,
    fundings.requested_at,
    coalesce(runs.settled_at, :stuck_before) as open_at,
    cast(fundings.operation_id as text) as operation_id
from ghostpass.fundings
left join integrity.ghostpass_calls as calls on calls.operation_id = fundings.operation_id
left join integrity.ghostpass_runs as runs on runs.run_id = calls.run_id
where
    fundings.status = 'pending'
    and (
        -- its run has delivered what was owed and taken up what was left: nobody else will
        -- a client that died before it asked the processor charged nobody, and no webhook will come
        (runs.settled_at is not null and (:run_id is null or calls.run_id = :run_id) and calls.outcome = 'ok')
        -- nobody's run made it: the clock decides; what a run of which no calls are there made is that run's matter
        or (
            calls.run_id is null
            and :run_id is null
            and fundings.requested_at < :stuck_before
            and not exists (
                select gaps.run_id
                from integrity.ghostpass_gaps as gaps
                where fundings.requested_at >= gaps.calls_from and fundings.requested_at < gaps.ended_at
            )
        )
    )
order by fundings.id
