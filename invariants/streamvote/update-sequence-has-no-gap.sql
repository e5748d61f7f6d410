-- title: the updates of an event are numbered from 1 to the event's sequence, without a gap
-- severity: error
-- source: streams; a client that sees a gap waits for what will never come
-- why: A viewer cannot tell an update that was lost from one that never was.
-- hint: A number taken in one transaction and its update written in another, which was rolled back or died.
select
    live_events.id as live_event_id,
    live_events.sequence,
    count(event_updates.id) as update_count,
    min(event_updates.sequence) as sequence_least,
    max(event_updates.sequence) as sequence_most,
    cast(live_events.operation_id as text) as operation_id
from streamvote.live_events
left join streamvote.event_updates on event_updates.live_event_id = live_events.id
group by live_events.id
having
    min(event_updates.sequence) is distinct from 1
    or max(event_updates.sequence) is distinct from live_events.sequence
    or live_events.sequence > count(event_updates.id)
order by live_events.id
