-- title: the account in_flight holds exactly what processing payments hold
-- severity: error
-- source: double-entry bookkeeping; a suspense account is empty when nothing is pending
-- why: What stays in flight without a payment under way belongs to somebody who is waiting for it.
-- hint: A payment that was ended without its settlement or return, or ended twice.
select
    payments.id as payment_id,
    payments.wallet_id,
    payments.status,
    payments.held_minor,
    coalesce(sum(entries.amount_minor), 0) as in_flight_minor,
    cast(payments.operation_id as text) as operation_id
from safebox.payments
left join safebox.entries on entries.reference = payments.id and entries.account = 'in_flight'
group by payments.id
having coalesce(sum(entries.amount_minor), 0) <> case payments.status when 'processing' then payments.held_minor else 0 end
order by payments.id
