-- title: a wallet pays once under each key
-- severity: error
-- source: idempotency; a client that got no answer asks again with the same key
-- why: A retry that pays again takes the money twice for one purchase.
-- hint: The key was looked up, and then the payment inserted, without a unique index.
select
    payments.wallet_id,
    payments.key,
    count(*) as payment_count,
    string_agg(cast(payments.id as text), ' ') as payment_ids,
    string_agg(cast(payments.operation_id as text), ' ') as operation_ids
from safebox.payments
where payments.status <> 'failed'
group by payments.wallet_id, payments.key
having count(*) > 1
order by payments.wallet_id, payments.key
