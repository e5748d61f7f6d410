-- title: no proof stays pending when its payment's run has settled what it owed, else for longer than 15 minutes
-- severity: error
-- source: the wallet's promise to its owner; a melt takes seconds, and what it held comes back
-- why: Money that is neither spent nor free is lost to its owner as long as it stays so.
-- hint: A payment that timed out at the mint and that nobody took up again.
-- parameter: run_id text = null
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    proofs.id as proof_id,
    proofs.wallet_id,
    proofs.amount_minor,
    proofs.payment_id,
    payments.created_at as pending_since,
    coalesce(runs.settled_at, :stuck_before) as open_at,
    cast(payments.operation_id as text) as operation_id
from safebox.proofs
join safebox.payments on payments.id = proofs.payment_id
left join integrity.safebox_calls as calls on calls.operation_id = payments.operation_id
left join integrity.safebox_runs as runs on runs.run_id = calls.run_id
where
    proofs.status = 'pending'
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
order by proofs.id
