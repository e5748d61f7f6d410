-- title: the events that providers told a run, and when each was applied
-- why: A message that was delivered and is not shown as that is sent again by whoever waits for it.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'inbox' order by started_at desc limit 1
select
    told.event_id,
    told.began_at,
    case when provider_events.event_id is not null then coalesce(told.applied_at, provider_events.applied_at) end as reached_at
from (
    select
        calls.arguments ->> 'event_id' as event_id,
        min(calls.invoked_at) as began_at,
        min(case when calls.outcome = 'ok' then calls.returned_at end) as applied_at
    from integrity.inbox_calls as calls
    where calls.run_id = :run_id and calls.operation = 'receive_provider_event'
    group by calls.arguments ->> 'event_id'
) as told
left join inbox.provider_events on provider_events.event_id = told.event_id
order by told.began_at, told.event_id
