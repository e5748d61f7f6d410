-- title: a declined or failed call has sent, opened and marked nothing
-- severity: error
-- source: atomicity; a no is a promise too
-- why: The sender was told that it did not work, writes it again, and everybody reads it twice.
-- hint: A transaction committed before the answer was known, or an error after the commit that was reported as a failure.
-- parameter: run_id text = null
select
    effects.conversation_id,
    effects.effect,
    effects.effect_id,
    calls.run_id,
    calls.operation,
    calls.outcome,
    calls.error,
    cast(calls.operation_id as text) as operation_id
from integrity.instainstru_calls as calls
join (
    select
        conversations.operation_id,
        conversations.id as conversation_id,
        'conversation' as effect,
        conversations.id as effect_id
    from instainstru.conversations
    union all
    select
        messages.operation_id,
        messages.conversation_id,
        'message' as effect,
        messages.id as effect_id
    from instainstru.messages
    union all
    select
        read_markers.operation_id,
        read_markers.conversation_id,
        'marker' as effect,
        read_markers.id as effect_id
    from instainstru.read_markers
) as effects on effects.operation_id = calls.operation_id
where calls.outcome in ('declined', 'failed') and calls.run_id = coalesce(:run_id, calls.run_id)
order by effects.effect, effects.effect_id
