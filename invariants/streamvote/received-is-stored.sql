-- title: what a subscriber received is what the event's log says
-- severity: error
-- source: streams; nobody is shown what did not happen
-- why: An update that was shown and is not in the log was taken back, or belongs to another event.
-- hint: An update pushed before its commit, or a stream that mixes events up.
-- parameter: run_id text = null
select
    received.stream as live_event_id,
    received.run_id,
    received.client,
    received.sequence,
    received.event_id as event_update_id,
    event_updates.live_event_id as stored_live_event_id,
    event_updates.sequence as stored_sequence,
    cast(received.operation_id as text) as operation_id
from integrity.streamvote_received as received
left join streamvote.event_updates on event_updates.id = received.event_id
where
    (:run_id is null or received.run_id = :run_id)
    and (
        event_updates.live_event_id is distinct from received.stream
        or event_updates.sequence is distinct from received.sequence
    )
order by received.run_id, received.client, received.sequence
