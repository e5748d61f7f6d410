-- title: nothing was made during a run that no client asked for
-- severity: error
-- source: histories; every effect has a cause
-- why: A payment or credit that nobody asked for comes from a retry, a job or a hand that nobody watches.
-- hint: A second client, a job or a trigger on the same database; the operation_id tells which calls it belongs to.
-- parameter: run_id text = null
-- parameter: in_gaps boolean = false
with unasked as materialized (
    -- materialized, so that the tables are read once and not once a run
    select
        made.wallet_id,
        made.effect,
        made.effect_id,
        made.made_at,
        made.operation_id
    from (
        select
            entries.wallet_id,
            'entry' as effect,
            entries.id as effect_id,
            entries.created_at as made_at,
            entries.operation_id
        from safebox.entries
        where entries.account = 'wallet'
        union all
        select
            proofs.wallet_id,
            'proof' as effect,
            proofs.id as effect_id,
            proofs.created_at as made_at,
            proofs.operation_id
        from safebox.proofs
        union all
        select
            payments.wallet_id,
            'payment' as effect,
            payments.id as effect_id,
            payments.created_at as made_at,
            payments.operation_id
        from safebox.payments
        union all
        select
            invoices.wallet_id,
            'invoice' as effect,
            invoices.id as effect_id,
            invoices.created_at as made_at,
            invoices.operation_id
        from safebox.invoices
        union all
        select
            pos_sales.wallet_id,
            'sale' as effect,
            pos_sales.id as effect_id,
            pos_sales.created_at as made_at,
            pos_sales.operation_id
        from safebox.pos_sales
        union all
        select
            nfc_requests.wallet_id,
            'request' as effect,
            nfc_requests.id as effect_id,
            nfc_requests.requested_at as made_at,
            nfc_requests.operation_id
        from safebox.nfc_requests
        union all
        select
            notifications.wallet_id,
            'notification' as effect,
            notifications.id as effect_id,
            notifications.notified_at as made_at,
            notifications.operation_id
        from safebox.notifications
    ) as made
    left join integrity.safebox_calls as calls on calls.operation_id = made.operation_id
    where
        calls.operation_id is null
        -- most rows are older than every run
        and made.made_at >= (select min(first.started_at) from integrity.safebox_runs as first)
)

select
    unasked.wallet_id,
    unasked.effect,
    unasked.effect_id,
    unasked.made_at,
    runs.run_id,
    cast(unasked.operation_id as text) as operation_id
from unasked
join integrity.safebox_runs as runs
    on
        unasked.made_at >= runs.started_at
        and unasked.made_at < case when :in_gaps then runs.alive_until else runs.ended_at end
where
    runs.state in ('finished', 'interrupted')
    and runs.run_id = coalesce(:run_id, runs.run_id)
    -- where the calls of a run are not there, nobody can say who asked: what stands there is a question of its own
    and exists (
        select gaps.run_id
        from integrity.safebox_gaps as gaps
        where unasked.made_at >= gaps.calls_from and unasked.made_at < gaps.ended_at
    ) = :in_gaps
order by unasked.made_at, unasked.effect, unasked.effect_id, runs.run_id
