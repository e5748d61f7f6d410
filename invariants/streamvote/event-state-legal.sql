-- title: a closed event has one closing update and the time of it, an open one neither
-- severity: error
-- source: the life of an event: opened, voted in, closed once
-- why: An event that is open for some and closed for others has two results.
-- hint: The status was changed by hand, or in another transaction than the update that tells of it.
select
    live_events.id as live_event_id,
    live_events.streamer_id,
    live_events.status,
    live_events.closed_at,
    count(event_updates.id) filter (where event_updates.kind = 'opened') as opened_count,
    count(event_updates.id) filter (where event_updates.kind = 'closed') as closed_count,
    cast(live_events.operation_id as text) as operation_id
from streamvote.live_events
left join streamvote.event_updates
    on event_updates.live_event_id = live_events.id and event_updates.kind in ('opened', 'closed')
group by live_events.id
having
    live_events.status not in ('open', 'closed')
    or (live_events.status = 'closed') <> (live_events.closed_at is not null)
    or live_events.closed_at < live_events.opened_at
    or count(event_updates.id) filter (where event_updates.kind = 'opened') <> 1
    or count(event_updates.id) filter (where event_updates.kind = 'closed')
    <> case when live_events.status = 'closed' then 1 else 0 end
order by live_events.id
