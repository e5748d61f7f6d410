-- title: no payment stays processing for longer than 15 minutes
-- severity: error
-- source: the wallet's promise to its owner; a melt takes seconds
-- why: The owner does not know whether the shop was paid, and cannot use the money.
-- hint: The mint timed out, or the client died before it asked: is somebody polling or sweeping this wallet?
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    payments.id as payment_id,
    payments.wallet_id,
    payments.kind,
    payments.amount_minor,
    payments.held_minor,
    payments.created_at,
    cast(payments.operation_id as text) as operation_id
from safebox.payments
where payments.status = 'processing' and payments.created_at < :stuck_before
order by payments.id
