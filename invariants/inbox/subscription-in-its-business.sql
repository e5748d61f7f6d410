-- title: a subscription belongs to the business that paid for it
-- severity: error
-- source: tenant isolation
-- why: One business pays and another is served.
-- hint: The business was taken from the webhook's payload, not from the checkout.
select
    subscriptions.id as subscription_id,
    subscriptions.business_id,
    subscriptions.checkout_id,
    checkouts.business_id as checkout_business_id,
    cast(subscriptions.operation_id as text) as operation_id
from inbox.subscriptions
left join inbox.checkouts on checkouts.id = subscriptions.checkout_id
where checkouts.business_id is distinct from subscriptions.business_id
order by subscriptions.id
