-- title: a call took effect at most once, also when its answer was lost
-- severity: error
-- source: exactly-once effects; an unknown call happened or did not, never twice
-- why: A retry after a lost answer that happens again pays twice.
-- hint: A retry without looking for the operation_id, after a connection broke or a serialization failure.
-- parameter: run_id text = null
select
    min(effects.wallet_id) as wallet_id,
    effects.effect,
    count(*) as effect_count,
    calls.run_id,
    calls.operation,
    calls.outcome,
    cast(calls.operation_id as text) as operation_id
from integrity.safebox_calls as calls
join (
    select
        payments.operation_id,
        payments.wallet_id,
        'payment' as effect
    from safebox.payments
    union all
    select
        entries.operation_id,
        entries.wallet_id,
        entries.kind as effect
    from safebox.entries
    where entries.account = case entries.kind when 'receipt' then 'mint' else 'in_flight' end
    union all
    select
        invoices.operation_id,
        invoices.wallet_id,
        'invoice' as effect
    from safebox.invoices
    union all
    select
        invoices.confirmed_by as operation_id,
        invoices.wallet_id,
        'confirmed' as effect
    from safebox.invoices
    union all
    select
        nfc_requests.operation_id,
        nfc_requests.wallet_id,
        'request' as effect
    from safebox.nfc_requests
) as effects on effects.operation_id = calls.operation_id
where calls.run_id = coalesce(:run_id, calls.run_id)
group by calls.operation_id, calls.run_id, calls.operation, calls.outcome, effects.effect
having count(*) > 1
order by calls.operation_id, effects.effect
