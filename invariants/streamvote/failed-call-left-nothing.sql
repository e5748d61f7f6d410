-- title: a declined or failed call moved no stars and told nobody anything
-- severity: error
-- source: atomicity; a no is a promise too
-- why: The viewer was told no and was charged all the same.
-- hint: A transaction committed before the answer was known, or an error after the commit that was reported as a failure.
-- parameter: run_id text = null
select
    effects.wallet_id,
    effects.effect,
    effects.effect_id,
    calls.run_id,
    calls.operation,
    calls.outcome,
    calls.error,
    cast(calls.operation_id as text) as operation_id
from integrity.streamvote_calls as calls
join (
    select
        entries.operation_id,
        entries.wallet_id,
        entries.kind as effect,
        entries.id as effect_id
    from streamvote.entries
    where entries.account = 'wallet'
    union all
    select
        event_updates.operation_id,
        cast(null as bigint) as wallet_id,
        event_updates.kind || ' update' as effect,
        event_updates.id as effect_id
    from streamvote.event_updates
) as effects on effects.operation_id = calls.operation_id
where calls.outcome in ('declined', 'failed') and calls.run_id = coalesce(:run_id, calls.run_id)
order by effects.effect, effects.effect_id
