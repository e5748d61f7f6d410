-- title: the updates of a run, each for every client who watched its event, and when it was received there
-- why: Nobody misses what a stream passes over; only the rows know that it was there.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'streamvote' order by started_at desc limit 1
select
    event_updates.live_event_id,
    event_updates.sequence,
    watchers.client,
    told.began_at,
    min(brought.received_at) as reached_at
from streamvote.event_updates
join (
    -- an update is visible when the call that wrote it has committed, and from then on it is late
    select
        calls.operation_id,
        coalesce(calls.returned_at, calls.invoked_at) as began_at
    from integrity.streamvote_calls as calls
    where calls.run_id = :run_id
) as told on told.operation_id = event_updates.operation_id
join (
    -- until a stream was not opened: after an unknown outcome it is another client who comes back
    select
        calls.client,
        cast(calls.arguments ->> 'live_event_id' as bigint) as live_event_id,
        min(
            coalesce(
                cast(calls.arguments ->> 'last_sequence' as bigint),
                cast(calls.reply ->> 'last_sequence' as bigint)
            )
        ) as first_sequence,
        min(case when calls.outcome <> 'ok' then calls.invoked_at end) as ended_at
    from integrity.streamvote_calls as calls
    where calls.run_id = :run_id and calls.operation = 'open_stream'
    group by calls.client, cast(calls.arguments ->> 'live_event_id' as bigint)
) as watchers
    on
        watchers.live_event_id = event_updates.live_event_id
        and watchers.first_sequence < event_updates.sequence
        and (watchers.ended_at is null or told.began_at < watchers.ended_at)
left join (
    select
        streams.client,
        received.stream,
        received.sequence,
        received.received_at
    from integrity.streamvote_received as received
    join integrity.streamvote_calls as streams
        on streams.run_id = received.run_id and streams.operation_id = received.operation_id
    where received.run_id = :run_id
) as brought
    on
        brought.client = watchers.client
        and brought.stream = event_updates.live_event_id
        and brought.sequence = event_updates.sequence
group by event_updates.live_event_id, event_updates.sequence, watchers.client, told.began_at
order by event_updates.live_event_id, event_updates.sequence, watchers.client
