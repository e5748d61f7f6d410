-- title: the payments that wait for the mint, oldest first
select
    payments.id as payment_id,
    payments.wallet_id,
    payments.kind,
    payments.amount_minor,
    payments.held_minor,
    payments.created_at,
    cast(payments.operation_id as text) as operation_id
from safebox.payments
where payments.status = 'processing'
order by payments.created_at, payments.id
