-- title: the messages of a run, each for every other participant who listened, and when it was received there
-- why: A sender's own echo says nothing of whether anybody else was told.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'instainstru' order by started_at desc limit 1
select
    messages.id as message_id,
    listeners.participant_id,
    sent.intended_at as began_at,
    min(brought.received_at) as reached_at
from integrity.instainstru_calls as sent
join instainstru.messages on messages.operation_id = sent.operation_id
join instainstru.conversations on conversations.id = messages.conversation_id
join instainstru.participants
    on participants.booking_id = conversations.booking_id and participants.id <> messages.sender_id
join (
    -- a participant listens from where the first stream began until the run ends, over all reconnects
    select
        cast(calls.arguments ->> 'participant_id' as bigint) as participant_id,
        min(
            coalesce(
                cast(calls.arguments ->> 'last_sequence' as bigint),
                cast(calls.reply ->> 'last_sequence' as bigint)
            )
        ) as first_sequence
    from integrity.instainstru_calls as calls
    where calls.run_id = :run_id and calls.operation = 'open_stream' and calls.outcome = 'ok'
    group by cast(calls.arguments ->> 'participant_id' as bigint)
) as listeners on listeners.participant_id = participants.id and listeners.first_sequence < messages.sequence
left join (
    select
        cast(streams.arguments ->> 'participant_id' as bigint) as participant_id,
        received.stream,
        received.sequence,
        received.received_at
    from integrity.instainstru_received as received
    join integrity.instainstru_calls as streams
        on streams.run_id = received.run_id and streams.operation_id = received.operation_id
    where received.run_id = :run_id
) as brought
    on
        brought.participant_id = listeners.participant_id
        and brought.stream = messages.conversation_id
        and brought.sequence = messages.sequence
where sent.run_id = :run_id and sent.operation = 'send_message'
group by messages.id, listeners.participant_id, sent.intended_at
order by messages.id, listeners.participant_id
