-- title: a subscription was begun by a checkout that was paid
-- severity: error
-- source: billing; who is served has paid
-- why: A subscription that nobody paid for is service given away.
-- hint: The kind of the processor's event was not looked at, or a status was set by hand.
select
    subscriptions.id as subscription_id,
    subscriptions.business_id,
    subscriptions.checkout_id,
    checkouts.status as checkout_status,
    cast(subscriptions.operation_id as text) as operation_id
from inbox.subscriptions
left join inbox.checkouts on checkouts.id = subscriptions.checkout_id
where checkouts.status is distinct from 'paid'
order by subscriptions.id
