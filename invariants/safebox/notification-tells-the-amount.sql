-- title: a notification tells the amount that was received or sent
-- severity: error
-- source: notifications; what the owner reads is what the books say
-- why: An owner who reads another amount than was moved does not trust either.
-- hint: The amount was taken from what was held, or from the credit, and not from what was paid.
select
    notifications.id as notification_id,
    notifications.wallet_id,
    notifications.kind,
    notifications.amount_minor,
    coalesce(invoices.amount_minor, payments.amount_minor) as moved_minor,
    cast(notifications.operation_id as text) as operation_id
from safebox.notifications
left join safebox.invoices on invoices.id = notifications.invoice_id
left join safebox.payments on payments.id = notifications.payment_id
where notifications.amount_minor is distinct from coalesce(invoices.amount_minor, payments.amount_minor)
order by notifications.id
