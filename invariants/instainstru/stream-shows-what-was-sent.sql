-- title: a listener is shown only messages that were sent, in the listener's own conversation
-- severity: error
-- source: live messages and privacy; what is shown is stored, and meant for who sees it
-- why: A message that is shown and not stored is gone at the next look; one of another lesson is somebody's secret.
-- hint: Events sent before the commit, a restore from an old backup, or a stream opened by conversation, not by participant.
-- parameter: run_id text = null
select
    received.run_id,
    received.client,
    received.stream as conversation_id,
    received.event_id as message_id,
    received.sequence,
    messages.conversation_id as stored_conversation_id,
    messages.sequence as stored_sequence,
    participants.booking_id as listener_booking_id,
    conversations.booking_id,
    cast(received.operation_id as text) as operation_id
from integrity.instainstru_received as received
join integrity.instainstru_calls as calls on calls.run_id = received.run_id and calls.operation_id = received.operation_id
left join instainstru.participants on participants.id = cast(calls.arguments ->> 'participant_id' as bigint)
left join instainstru.messages on messages.id = received.event_id
left join instainstru.conversations on conversations.id = messages.conversation_id
where
    (:run_id is null or received.run_id = :run_id)
    and (
        messages.id is null
        or messages.conversation_id <> received.stream
        or messages.sequence <> received.sequence
        or conversations.booking_id is distinct from participants.booking_id
    )
order by received.run_id, received.number
