-- title: what a dashboard is told is a message of its business, in a conversation of its business
-- severity: error
-- source: isolation of tenants; realtime shows what the session's business may see
-- why: One business reads another's customers.
-- hint: A channel that is joined without asking whose token it is, or a message stored under another business.
-- parameter: run_id text = null
select
    received.run_id,
    received.client,
    received.stream as business_id,
    received.sequence,
    received.event_id as message_id,
    messages.business_id as stored_business_id,
    messages.sequence as stored_sequence,
    conversations.business_id as conversation_business_id,
    cast(calls.arguments ->> 'business_id' as bigint) as listener_business_id,
    cast(received.operation_id as text) as operation_id
from integrity.inbox_received as received
join integrity.inbox_calls as calls on calls.run_id = received.run_id and calls.operation_id = received.operation_id
left join inbox.messages on messages.id = received.event_id
left join inbox.conversations on conversations.id = messages.conversation_id
where
    (:run_id is null or received.run_id = :run_id)
    and (
        messages.business_id is distinct from received.stream
        or messages.sequence is distinct from received.sequence
        or conversations.business_id is distinct from received.stream
        or cast(calls.arguments ->> 'business_id' as bigint) is distinct from received.stream
    )
order by received.run_id, received.client, received.sequence
