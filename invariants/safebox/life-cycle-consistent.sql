-- title: what has ended says when and how, and what has not says neither
-- severity: error
-- source: life cycle; illegal combinations of states cannot be reached by legal transitions
-- why: A row that has ended and has not is counted twice, or by nobody, by whatever looks at it.
-- hint: A status set by hand or by a migration, without the columns that belong to it.
select
    things.thing,
    things.thing_id,
    things.wallet_id,
    things.status,
    things.operation_id
from (
    select
        'payment' as thing,
        payments.id as thing_id,
        payments.wallet_id,
        payments.status,
        cast(payments.operation_id as text) as operation_id
    from safebox.payments
    where
        payments.status not in ('processing', 'settled', 'failed')
        or (payments.status = 'processing') <> (payments.ended_at is null)
        or (payments.status = 'settled') <> (payments.fee_minor is not null)
        or payments.fee_minor > payments.fee_reserve_minor
    union all
    select
        'invoice' as thing,
        invoices.id as thing_id,
        invoices.wallet_id,
        invoices.status,
        cast(invoices.operation_id as text) as operation_id
    from safebox.invoices
    where
        invoices.status not in ('unpaid', 'paid', 'credited', 'expired')
        or (invoices.status in ('paid', 'credited')) <> (invoices.paid_at is not null)
        or (invoices.status in ('paid', 'credited')) <> (invoices.confirmed_by is not null)
    union all
    select
        'request' as thing,
        nfc_requests.id as thing_id,
        nfc_requests.wallet_id,
        nfc_requests.status,
        cast(nfc_requests.operation_id as text) as operation_id
    from safebox.nfc_requests
    where
        nfc_requests.status not in ('open', 'accepted', 'rejected', 'expired')
        or (nfc_requests.status in ('accepted', 'rejected') and nfc_requests.answered_at is null)
        or (nfc_requests.status = 'expired' and nfc_requests.answered_at is not null)
) as things
order by things.thing, things.thing_id
