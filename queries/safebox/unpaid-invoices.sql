-- title: the invoices that can still be paid, those that expire first on top
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.amount_minor,
    pos_sales.id as pos_sale_id,
    invoices.created_at,
    invoices.expires_at
from safebox.invoices
left join safebox.pos_sales on pos_sales.invoice_id = invoices.id
where invoices.status = 'unpaid'
order by coalesce(invoices.expires_at, invoices.created_at), invoices.id
