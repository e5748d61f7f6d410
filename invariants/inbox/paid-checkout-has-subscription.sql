-- title: a checkout that was paid has its subscription
-- severity: error
-- source: billing; who paid is served
-- why: The business paid and has nothing.
-- hint: The checkout was settled in one transaction and the subscription begun in another, and something died between.
select
    checkouts.id as checkout_id,
    checkouts.business_id,
    checkouts.status,
    checkouts.settled_at,
    cast(checkouts.operation_id as text) as operation_id
from inbox.checkouts
left join inbox.subscriptions on subscriptions.checkout_id = checkouts.id
where checkouts.status = 'paid' and subscriptions.checkout_id is null
order by checkouts.id
