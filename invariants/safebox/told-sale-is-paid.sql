-- title: a sale is paid whose payment a socket told its till
-- severity: error
-- source: wallet plan: no desync between a payment's success and the status at the point of sale
-- why: The till shows a customer who has paid as one who has not, and the goods stay on the counter.
-- hint: The sale is marked in another transaction than its invoice, or the notification is written before both.
-- parameter: run_id text = null
select
    told.run_id,
    told.wallet_id,
    told.notification_id,
    pos_sales.id as pos_sale_id,
    pos_sales.status,
    told.received_at
from (
    select
        received.run_id,
        received.stream as wallet_id,
        received.event_id as notification_id,
        min(received.received_at) as received_at
    from integrity.safebox_received as received
    where (:run_id is null or received.run_id = :run_id)
    group by received.run_id, received.stream, received.event_id
) as told
join safebox.notifications on notifications.id = told.notification_id and notifications.kind = 'RECD'
join safebox.pos_sales on pos_sales.invoice_id = notifications.invoice_id and pos_sales.wallet_id = notifications.wallet_id
where pos_sales.status <> 'paid'
order by told.run_id, told.notification_id
