-- title: what each business pays for: its active subscription, and its checkouts by how they ended
select
    businesses.id as business_id,
    businesses.name,
    min(subscriptions.id) as subscription_id,
    min(subscriptions.started_at) as active_since,
    count(checkouts.id) filter (where checkouts.status = 'paid') as paid_count,
    count(checkouts.id) filter (where checkouts.status in ('failed', 'expired')) as unpaid_count,
    count(checkouts.id) filter (where checkouts.status = 'open') as open_count,
    coalesce(sum(checkouts.amount_minor) filter (where checkouts.status = 'paid'), 0) as paid_minor
from inbox.businesses
left join inbox.subscriptions on subscriptions.business_id = businesses.id and subscriptions.status = 'active'
left join inbox.checkouts on checkouts.business_id = businesses.id
group by businesses.id, businesses.name
order by businesses.id
