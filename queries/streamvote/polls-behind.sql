-- title: the polls of a run, and since when each was answered with what was no longer so
-- why: Who polls a vote that is over votes for what has lost.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'streamvote' order by started_at desc limit 1
select
    cast(polls.operation_id as text) as operation_id,
    coalesce(told.returned_at, polls.invoked_at) as began_at,
    polls.invoked_at as reached_at
from integrity.streamvote_calls as polls
-- from the next update on what was answered was no longer so: they have no gap
left join streamvote.event_updates
    on
        event_updates.live_event_id = cast(polls.arguments ->> 'live_event_id' as bigint)
        and event_updates.sequence = cast(polls.reply ->> 'sequence' as bigint) + 1
left join integrity.streamvote_calls as told
    on
        told.run_id = polls.run_id
        and told.operation_id = event_updates.operation_id
        and told.returned_at < polls.invoked_at
where polls.run_id = :run_id and polls.operation = 'poll_event' and polls.outcome = 'ok'
order by polls.invoked_at, polls.operation_id
