-- title: the events that the processor told a run, and when each was applied
-- why: A guest who has paid and sees no credit pays again.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'ghostpass' order by started_at desc limit 1
select
    told.event_id,
    told.began_at,
    case when webhook_events.event_id is not null then coalesce(told.applied_at, webhook_events.applied_at) end as reached_at
from (
    select
        calls.arguments ->> 'event_id' as event_id,
        min(calls.invoked_at) as began_at,
        min(case when calls.outcome = 'ok' then calls.returned_at end) as applied_at
    from integrity.ghostpass_calls as calls
    where calls.run_id = :run_id and calls.operation = 'receive_funding_webhook'
    group by calls.arguments ->> 'event_id'
) as told
left join ghostpass.webhook_events on webhook_events.event_id = told.event_id
order by told.began_at, told.event_id
