-- title: each sequence number of an event is used once
-- severity: error
-- source: streams; a client drops what it has seen before
-- why: Of two updates with one number a client shows the first and drops the second.
-- hint: A number computed from the last one without the event's lock, and no unique constraint.
select
    event_updates.live_event_id,
    event_updates.sequence,
    count(*) as update_count,
    string_agg(cast(event_updates.id as text), ' ') as update_ids,
    string_agg(cast(event_updates.operation_id as text), ' ') as operation_ids
from streamvote.event_updates
group by event_updates.live_event_id, event_updates.sequence
having count(*) > 1
order by event_updates.live_event_id, event_updates.sequence
