-- title: a call took effect at most once, also when its answer was lost
-- severity: error
-- source: exactly-once effects; an unknown call happened or did not, never twice
-- why: A retry after a lost answer that happens again charges the viewer twice.
-- hint: A retry without looking for the operation_id, after a connection broke or a serialization failure.
-- parameter: run_id text = null
select
    min(effects.wallet_id) as wallet_id,
    effects.effect,
    count(*) as effect_count,
    calls.run_id,
    calls.operation,
    calls.outcome,
    cast(calls.operation_id as text) as operation_id
from integrity.streamvote_calls as calls
join (
    select
        entries.operation_id,
        entries.wallet_id,
        'entry' as effect
    from streamvote.entries
    where entries.account = 'wallet'
    union all
    select
        votes.operation_id,
        votes.wallet_id,
        'vote' as effect
    from streamvote.votes
    union all
    select
        invoices.operation_id,
        invoices.wallet_id,
        'invoice' as effect
    from streamvote.invoices
    union all
    select
        webhook_events.operation_id,
        cast(null as bigint) as wallet_id,
        'event' as effect
    from streamvote.webhook_events
    union all
    select
        event_updates.operation_id,
        cast(null as bigint) as wallet_id,
        'update' as effect
    from streamvote.event_updates
) as effects on effects.operation_id = calls.operation_id
where calls.run_id = coalesce(:run_id, calls.run_id)
group by calls.operation_id, calls.run_id, calls.operation, calls.outcome, effects.effect
having count(*) > 1
order by calls.operation_id, effects.effect
