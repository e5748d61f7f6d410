-- title: what a client was told has happened is in the database
-- severity: error
-- source: message loss 0; an answer of ok is a promise
-- why: The sender saw "sent", and nobody will ever read it.
-- hint: An answer given before the commit, synchronous_commit switched off, or a restore from an old backup.
-- parameter: run_id text = null
select
    calls.run_id,
    calls.operation,
    calls.client,
    calls.arguments,
    calls.reply,
    calls.returned_at,
    cast(calls.arguments ->> 'participant_id' as bigint) as participant_id,
    cast(calls.operation_id as text) as operation_id
from integrity.instainstru_calls as calls
left join instainstru.participants on participants.id = cast(calls.arguments ->> 'participant_id' as bigint)
left join instainstru.conversations
    on
        calls.operation = 'open_conversation'
        and conversations.id = cast(calls.reply ->> 'conversation_id' as bigint)
        and conversations.booking_id = participants.booking_id
-- the first answer to a message and every further one name the same message
left join instainstru.messages
    on
        calls.operation in ('send_message', 'resend_message')
        and messages.id = cast(calls.reply ->> 'message_id' as bigint)
        and messages.sequence = cast(calls.reply ->> 'sequence' as bigint)
        and messages.sender_id = participants.id
        and messages.client_message_id = calls.arguments ->> 'client_message_id'
-- a marker may have gone on since, never back
left join instainstru.read_markers
    on
        calls.operation = 'mark_read'
        and read_markers.participant_id = participants.id
        and read_markers.last_read_sequence >= cast(calls.reply ->> 'last_read_sequence' as bigint)
where
    calls.outcome = 'ok'
    and calls.operation in ('open_conversation', 'send_message', 'resend_message', 'mark_read')
    and calls.run_id = coalesce(:run_id, calls.run_id)
    and conversations.id is null
    and messages.id is null
    and read_markers.id is null
order by calls.returned_at, calls.operation_id
