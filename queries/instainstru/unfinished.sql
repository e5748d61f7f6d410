-- title: what a run of instainstru was told is done, or under way, and is not done at its end
-- why: An answer is not an end: what was accepted and never ended is nobody's failed call.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'instainstru' order by started_at desc limit 1
select
    'messages that somebody who listened has not received' as what,
    count(*) as open_count
from integrity.instainstru_calls as sent
join instainstru.messages on messages.operation_id = sent.operation_id
join instainstru.deliveries on deliveries.message_id = messages.id
join (
    -- from where the first stream began until the run ends, over all reconnects
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
) as listeners
    on listeners.participant_id = deliveries.participant_id and listeners.first_sequence < messages.sequence
left join (
    select distinct
        cast(streams.arguments ->> 'participant_id' as bigint) as participant_id,
        received.stream,
        received.sequence
    from integrity.instainstru_received as received
    join integrity.instainstru_calls as streams
        on streams.run_id = received.run_id and streams.operation_id = received.operation_id
    where received.run_id = :run_id
) as brought
    on
        brought.participant_id = deliveries.participant_id
        and brought.stream = messages.conversation_id
        and brought.sequence = messages.sequence
where sent.run_id = :run_id and sent.operation = 'send_message' and brought.sequence is null
