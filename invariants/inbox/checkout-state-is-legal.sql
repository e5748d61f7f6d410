-- title: a checkout or subscription has an end exactly when it has ended
-- severity: error
-- source: the life of a checkout: open, then paid, failed or expired; of a subscription: active, then ended
-- why: What ended and still counts as open is asked for and billed for ever.
-- hint: A status written without its time, or a check constraint that was dropped.
select
    ends.subject,
    ends.subject_id,
    ends.business_id,
    ends.status,
    ends.ended_at,
    cast(ends.operation_id as text) as operation_id
from (
    select
        'checkout' as subject,
        checkouts.id as subject_id,
        checkouts.business_id,
        checkouts.status,
        checkouts.settled_at as ended_at,
        checkouts.operation_id
    from inbox.checkouts
    where (checkouts.status = 'open') <> (checkouts.settled_at is null)
    union all
    select
        'subscription' as subject,
        subscriptions.id as subject_id,
        subscriptions.business_id,
        subscriptions.status,
        subscriptions.ended_at,
        subscriptions.operation_id
    from inbox.subscriptions
    where (subscriptions.status = 'active') <> (subscriptions.ended_at is null)
) as ends
order by ends.subject, ends.subject_id
