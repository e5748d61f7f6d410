-- title: a sale brought its merchant its amount once if its invoice is credited, and nothing if not, also where a card was tapped
-- severity: error
-- source: point of sale; a sale that is paid by a tap is paid once
-- why: A sale that a tap has paid and that can still be scanned is paid twice by an honest customer, or not handed out.
-- hint: A tap that pays the merchant directly and leaves the invoice that the till shows open.
select
    pos_sales.id as pos_sale_id,
    pos_sales.wallet_id,
    pos_sales.invoice_id,
    invoices.amount_minor,
    invoices.status as invoice_status,
    coalesce(receipts.received_minor, 0) as receipts_minor,
    coalesce(direct.received_minor, 0) as direct_minor,
    cast(pos_sales.operation_id as text) as operation_id,
    direct.operation_ids as direct_operation_ids
from safebox.pos_sales
join safebox.invoices on invoices.id = pos_sales.invoice_id
left join (
    select
        entries.reference as invoice_id,
        entries.wallet_id,
        sum(entries.amount_minor) as received_minor
    from safebox.entries
    where entries.kind = 'receipt' and entries.account = 'wallet'
    group by entries.reference, entries.wallet_id
) as receipts on receipts.invoice_id = pos_sales.invoice_id and receipts.wallet_id = pos_sales.wallet_id
left join (
    select
        payments.invoice_id,
        payments.payee_wallet_id,
        sum(payments.amount_minor) as received_minor,
        string_agg(cast(payments.operation_id as text), ' ') as operation_ids
    from safebox.payments
    where payments.status = 'settled' and payments.invoice_id is not null and payments.payee_wallet_id is not null
    group by payments.invoice_id, payments.payee_wallet_id
) as direct on direct.invoice_id = pos_sales.invoice_id and direct.payee_wallet_id = pos_sales.wallet_id
where
    coalesce(receipts.received_minor, 0) + coalesce(direct.received_minor, 0)
    <> case invoices.status when 'credited' then invoices.amount_minor else 0 end
order by pos_sales.id
