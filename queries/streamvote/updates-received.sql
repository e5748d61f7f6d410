-- title: the updates of a run, each for every client who watched its event, and when it was received there
-- why: Nobody misses what a stream passes over; only the rows know that it was there.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'streamvote' order by started_at desc limit 1
select
    event_updates.live_event_id,
    event_updates.sequence,
    watchers.client,
    told.began_at,
    min(received.received_at) as reached_at
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
    select
        calls.client,
        cast(calls.arguments ->> 'live_event_id' as bigint) as live_event_id,
        min(
            coalesce(
                cast(calls.arguments ->> 'last_sequence' as bigint),
                cast(calls.reply ->> 'last_sequence' as bigint)
            )
        ) as first_sequence
    from integrity.streamvote_calls as calls
    where calls.run_id = :run_id and calls.operation = 'open_stream' and calls.outcome = 'ok'
    group by calls.client, cast(calls.arguments ->> 'live_event_id' as bigint)
) as watchers
    on watchers.live_event_id = event_updates.live_event_id and watchers.first_sequence < event_updates.sequence
left join integrity.streamvote_received as received
    on
        received.run_id = :run_id
        and received.client = watchers.client
        and received.stream = event_updates.live_event_id
        and received.sequence = event_updates.sequence
group by event_updates.live_event_id, event_updates.sequence, watchers.client, told.began_at
order by event_updates.live_event_id, event_updates.sequence, watchers.client
