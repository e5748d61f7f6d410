-- title: a checkout begins at most one subscription
-- severity: error
-- source: exactly-once effects; a webhook that comes twice is one payment
-- why: Paid once and begun twice: the second one is given away, or charged for nothing.
-- hint: The checkout's status was not asked by the statement that settles it.
select
    subscriptions.checkout_id,
    min(subscriptions.business_id) as business_id,
    count(*) as subscription_count,
    min(subscriptions.id) as first_subscription_id,
    max(subscriptions.id) as last_subscription_id,
    string_agg(cast(subscriptions.operation_id as text), ' ') as operation_ids
from inbox.subscriptions
group by subscriptions.checkout_id
having count(*) > 1
order by subscriptions.checkout_id
