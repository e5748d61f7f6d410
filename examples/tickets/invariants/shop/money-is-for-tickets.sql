-- title: what was paid for an order is the price of its tickets; of one that was returned, nothing
-- severity: error
-- source: a ticket costs 25.00
-- hint: Money that is paid back twice, or forgotten.
select
    orders.id                                      as order_id,
    orders.status,
    orders.ticket_count,
    coalesce(sum(payments.amount_minor), 0)        as paid_minor
from tickets.orders
left join tickets.payments on payments.order_id = orders.id
group by orders.id, orders.status, orders.ticket_count
having coalesce(sum(payments.amount_minor), 0) <> case orders.status when 'paid' then orders.ticket_count * 2500 else 0 end
order by orders.id
