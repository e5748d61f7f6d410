-- title: the sales that were taken back, newest first
-- parameter: since timestamptz = now - 1 day
select
    sales.id as sale_id,
    sales.wallet_id,
    terminals.name as terminal,
    sales.amount_minor,
    sales.sold_at,
    entries.created_at as refunded_at,
    cast(entries.operation_id as text) as operation_id
from ghostpass.entries
join ghostpass.sales on sales.id = entries.reference
join ghostpass.terminals on terminals.id = sales.terminal_id
where entries.kind = 'refund' and entries.account = 'wallet' and entries.created_at >= :since
order by entries.created_at desc, sales.id desc
