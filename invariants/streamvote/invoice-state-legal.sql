-- title: an invoice's times are those of its status, in order
-- severity: error
-- source: the life of an invoice: open, then paid and credited, or expired
-- why: An invoice that is credited and expired, or credited before it was paid, is two stories about one payment.
-- hint: A status written without its old value in the where clause: the later writer did not know of the earlier.
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.status,
    invoices.created_at,
    invoices.paid_at,
    invoices.credited_at,
    invoices.expired_at,
    cast(invoices.operation_id as text) as operation_id
from streamvote.invoices
where
    invoices.status not in ('open', 'paid', 'credited', 'expired')
    or (invoices.status in ('paid', 'credited')) <> (invoices.paid_at is not null)
    or (invoices.status = 'credited') <> (invoices.credited_at is not null)
    or (invoices.status = 'expired') <> (invoices.expired_at is not null)
    or invoices.paid_at < invoices.created_at
    or invoices.credited_at < invoices.paid_at
    or invoices.expired_at < invoices.created_at
order by invoices.id
