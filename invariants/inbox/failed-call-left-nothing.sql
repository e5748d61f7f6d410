-- title: a declined or failed call sent nothing, charged nothing and stored nothing
-- severity: error
-- source: atomicity; a no is a promise too
-- why: The member was told no, writes again, and the customer gets both.
-- hint: A transaction committed before the answer was known, or an error after the commit that was reported as a failure.
-- parameter: run_id text = null
select
    effects.business_id,
    effects.effect,
    effects.effect_id,
    calls.run_id,
    calls.operation,
    calls.outcome,
    calls.error,
    cast(calls.operation_id as text) as operation_id
from integrity.inbox_calls as calls
join (
    select
        messages.operation_id,
        messages.business_id,
        'message' as effect,
        messages.id as effect_id
    from inbox.messages
    union all
    select
        provider_events.operation_id,
        cast(null as bigint) as business_id,
        'event' as effect,
        provider_events.id as effect_id
    from inbox.provider_events
    union all
    select
        subscriptions.operation_id,
        subscriptions.business_id,
        'subscription' as effect,
        subscriptions.id as effect_id
    from inbox.subscriptions
    union all
    select
        media.operation_id,
        media.business_id,
        'media' as effect,
        media.id as effect_id
    from inbox.media
    where media.status <> 'abandoned'
) as effects on effects.operation_id = calls.operation_id
where calls.outcome in ('declined', 'failed') and calls.run_id = coalesce(:run_id, calls.run_id)
order by effects.effect, effects.effect_id
