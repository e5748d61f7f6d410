-- title: no invoice stays paid without its credit, or open after its time, when its run has settled what it owed, else for longer than 15 minutes
-- severity: error
-- source: the wallet's promise to its owner; every paid invoice is credited
-- why: The payer has paid, and the owner sees nothing; or a customer stands before a code that nobody can pay any more.
-- hint: The mint did not issue the proofs, and nobody asked it again: is somebody polling or sweeping this wallet?
-- parameter: run_id text = null
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.amount_minor,
    invoices.status,
    coalesce(invoices.paid_at, invoices.expires_at) as stuck_since,
    coalesce(runs.settled_at, :stuck_before) as open_at,
    cast(coalesce(invoices.confirmed_by, invoices.operation_id) as text) as operation_id
from safebox.invoices
left join integrity.safebox_calls as calls on calls.operation_id = coalesce(invoices.confirmed_by, invoices.operation_id)
left join integrity.safebox_runs as runs on runs.run_id = calls.run_id
where
    invoices.status in ('paid', 'unpaid')
    and (
        -- its run has delivered what was owed and taken up what was left: nobody else will
        (runs.settled_at is not null and (:run_id is null or calls.run_id = :run_id) and coalesce(invoices.paid_at, invoices.expires_at) <= runs.settled_at)
        -- nobody's run made it: the clock decides; what a run of which no calls are there made is that run's matter
        or (
            calls.run_id is null
            and :run_id is null
            and coalesce(invoices.paid_at, invoices.expires_at) < :stuck_before
            and not exists (
                select gaps.run_id
                from integrity.safebox_gaps as gaps
                where invoices.created_at >= gaps.calls_from and invoices.created_at < gaps.ended_at
            )
        )
    )
order by invoices.id
