-- title: what was credited or settled is notified exactly once to each side, and nothing else is
-- severity: error
-- source: notifications; RECD or SENT for every settled thing and for no other
-- why: The owner does not learn that money came or went, or is told of money that did not.
-- hint: The notification was written before, or apart from, the transaction that it announces.
select
    sides.wallet_id,
    sides.kind,
    sides.invoice_id,
    sides.payment_id,
    sum(sides.due) as due_count,
    sum(sides.told) as told_count,
    min(sides.operation_id) as operation_id
from (
    select
        invoices.wallet_id,
        'RECD' as kind,
        invoices.id as invoice_id,
        cast(null as bigint) as payment_id,
        1 as due,
        0 as told,
        cast(invoices.confirmed_by as text) as operation_id
    from safebox.invoices
    where invoices.status = 'credited'
    union all
    select
        payments.wallet_id,
        'SENT' as kind,
        cast(null as bigint) as invoice_id,
        payments.id as payment_id,
        1 as due,
        0 as told,
        cast(payments.operation_id as text) as operation_id
    from safebox.payments
    where payments.status = 'settled'
    union all
    select
        payments.payee_wallet_id as wallet_id,
        'RECD' as kind,
        cast(null as bigint) as invoice_id,
        payments.id as payment_id,
        1 as due,
        0 as told,
        cast(payments.operation_id as text) as operation_id
    from safebox.payments
    where payments.status = 'settled' and payments.payee_wallet_id is not null
    union all
    select
        notifications.wallet_id,
        notifications.kind,
        notifications.invoice_id,
        notifications.payment_id,
        0 as due,
        1 as told,
        cast(notifications.operation_id as text) as operation_id
    from safebox.notifications
) as sides
group by sides.wallet_id, sides.kind, sides.invoice_id, sides.payment_id
having sum(sides.due) <> 1 or sum(sides.told) <> 1
order by sides.wallet_id, sides.kind, sides.invoice_id, sides.payment_id
