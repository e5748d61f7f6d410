-- title: a point of sale shows paid exactly when its invoice is paid
-- severity: error
-- source: point of sale; no desync between the payment and what the merchant sees
-- why: A sale shown as unpaid is paid twice by an honest customer; one shown as paid is goods given away.
-- hint: The sale is updated in another transaction than its invoice, and something died between the two.
select
    pos_sales.id as pos_sale_id,
    pos_sales.wallet_id,
    pos_sales.invoice_id,
    pos_sales.status,
    invoices.status as invoice_status,
    invoices.wallet_id as invoice_wallet_id,
    cast(pos_sales.operation_id as text) as operation_id,
    cast(invoices.confirmed_by as text) as confirmed_by_operation_id
from safebox.pos_sales
left join safebox.invoices on invoices.id = pos_sales.invoice_id
where
    pos_sales.status is distinct from
    case invoices.status
        when 'unpaid' then 'awaiting'
        when 'paid' then 'paid'
        when 'credited' then 'paid'
        when 'expired' then 'expired'
    end
    or pos_sales.wallet_id is distinct from invoices.wallet_id
order by pos_sales.id
