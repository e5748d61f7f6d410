-- title: a listener is shown every message between the first and the last that its streams tell of
-- severity: error
-- source: live messages; a client that comes back is shown what it missed, by its Last-Event-ID
-- why: Instructor and student look at different conversations, and neither knows.
-- hint: A stream that goes on after the newest message, or by ids or times, which become visible in another order.
-- parameter: run_id text = null
-- parameter: in_gaps boolean = false
select
    streams.run_id,
    streams.client,
    streams.participant_id,
    messages.conversation_id,
    messages.id as message_id,
    messages.sequence,
    messages.sent_at,
    cast(messages.operation_id as text) as operation_id
from (
    -- a client's streams, over all its reconnects: from where it began to listen, and how far it was told they had come
    select
        calls.run_id,
        calls.client,
        cast(calls.arguments ->> 'participant_id' as bigint) as participant_id,
        min(
            coalesce(
                cast(calls.arguments ->> 'last_sequence' as bigint),
                cast(calls.reply ->> 'last_sequence' as bigint)
            )
        ) as first_sequence,
        max(cast(calls.reply ->> 'last_sequence' as bigint)) as told_sequence
    from integrity.instainstru_calls as calls
    where
        calls.operation = 'open_stream'
        and calls.outcome = 'ok'
        and (:run_id is null or calls.run_id = :run_id)
    group by calls.run_id, calls.client, cast(calls.arguments ->> 'participant_id' as bigint)
) as streams
join (
    select
        brought.run_id,
        brought.client,
        brought.stream,
        max(brought.sequence) as shown_sequence
    from integrity.instainstru_received as brought
    group by brought.run_id, brought.client, brought.stream
) as shown on shown.run_id = streams.run_id and shown.client = streams.client
join instainstru.messages
    on
        messages.conversation_id = shown.stream
        and messages.sequence > streams.first_sequence
        and (messages.sequence <= streams.told_sequence or messages.sequence <= shown.shown_sequence)
-- by number: that each belongs to one message, and to the one that was shown, are questions of their own
left join integrity.instainstru_received as received
    on
        received.run_id = streams.run_id
        and received.client = streams.client
        and received.stream = messages.conversation_id
        and received.sequence = messages.sequence
where
    received.run_id is null
    -- where what a run received is not all there, it may have been shown all the same
    and exists (
        select gaps.run_id
        from integrity.instainstru_gaps as gaps
        where gaps.run_id = streams.run_id and gaps.received_from is not null
    ) = :in_gaps
order by streams.run_id, streams.client, messages.id
