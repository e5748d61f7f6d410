-- title: no payment stays processing when its run has settled what it owed, else for longer than 15 minutes
-- severity: error
-- source: the wallet's promise to its owner; a melt takes seconds
-- why: The owner does not know whether the shop was paid, and cannot use the money.
-- hint: The mint timed out, or the client died before it asked: is somebody polling or sweeping this wallet?
-- parameter: run_id text = null
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    payments.id as payment_id,
    payments.wallet_id,
    payments.kind,
    payments.amount_minor,
    payments.held_minor,
    payments.created_at,
    coalesce(runs.settled_at, :stuck_before) as open_at,
    cast(payments.operation_id as text) as operation_id
from safebox.payments
left join integrity.safebox_calls as calls on calls.operation_id = payments.operation_id
left join integrity.safebox_runs as runs on runs.run_id = calls.run_id
where
    payments.status = 'processing'
    and (
        -- its run has delivered what was owed and taken up what was left: nobody else will
        (runs.settled_at is not null and (:run_id is null or calls.run_id = :run_id))
        -- nobody's run made it: the clock decides; what a run of which no calls are there made is that run's matter
        or (
            calls.run_id is null
            and :run_id is null
            and payments.created_at < :stuck_before
            and not exists (
                select gaps.run_id
                from integrity.safebox_gaps as gaps
                where payments.created_at >= gaps.calls_from and payments.created_at < gaps.ended_at
            )
        )
    )
order by payments.id
