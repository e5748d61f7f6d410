-- title: an invoice is paid by at most one payment
-- severity: error
-- source: Lightning; an invoice is settled once
-- why: Who pays an invoice that is paid already gets nothing for it.
-- hint: Payments of the invoice were looked for, and then one was inserted, without a unique index.
select
    payments.invoice_id,
    min(payments.wallet_id) as wallet_id,
    count(*) as payment_count,
    string_agg(cast(payments.id as text), ' ') as payment_ids,
    string_agg(cast(payments.operation_id as text), ' ') as operation_ids
from safebox.payments
where payments.invoice_id is not null and payments.status <> 'failed'
group by payments.invoice_id
having count(*) > 1
order by payments.invoice_id
