-- title: a call took effect at most once, also when its answer was lost
-- severity: error
-- source: exactly-once effects; an unknown call happened or did not, never twice
-- why: A retry after a lost answer that happens again is a customer who is written to twice, or a business billed twice.
-- hint: A retry without looking for the operation_id, after a connection broke or a serialization failure.
-- parameter: run_id text = null
select
    min(effects.business_id) as business_id,
    effects.effect,
    count(*) as effect_count,
    calls.run_id,
    calls.operation,
    calls.outcome,
    cast(calls.operation_id as text) as operation_id
from integrity.inbox_calls as calls
join (
    select
        messages.operation_id,
        messages.business_id,
        'message' as effect
    from inbox.messages
    union all
    select
        provider_events.operation_id,
        cast(null as bigint) as business_id,
        'event' as effect
    from inbox.provider_events
    union all
    select
        checkouts.operation_id,
        checkouts.business_id,
        'checkout' as effect
    from inbox.checkouts
    union all
    select
        subscriptions.operation_id,
        subscriptions.business_id,
        'subscription' as effect
    from inbox.subscriptions
    union all
    select
        media.operation_id,
        media.business_id,
        'media' as effect
    from inbox.media
) as effects on effects.operation_id = calls.operation_id
where calls.run_id = coalesce(:run_id, calls.run_id)
group by calls.operation_id, calls.run_id, calls.operation, calls.outcome, effects.effect
having count(*) > 1
order by calls.operation_id, effects.effect
