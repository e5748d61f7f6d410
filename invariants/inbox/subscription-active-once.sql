-- title: a business has at most one active subscription
-- severity: error
-- source: billing; one business, one plan
-- why: The business is billed twice each month, until it notices.
-- hint: The active subscription was looked up, then one inserted: two webhooks at once both found none.
select
    subscriptions.business_id,
    count(*) as active_count,
    min(subscriptions.id) as first_subscription_id,
    max(subscriptions.id) as last_subscription_id,
    string_agg(cast(subscriptions.operation_id as text), ' ') as operation_ids
from inbox.subscriptions
where subscriptions.status = 'active'
group by subscriptions.business_id
having count(*) > 1
order by subscriptions.business_id
