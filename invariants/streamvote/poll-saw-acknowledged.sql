-- title: a poll that read the database saw every vote that was acknowledged before it began
-- severity: error
-- source: reads are not older than what was acknowledged before them; with poll-is-fresh, staleness is bounded
-- why: A viewer who has just been told that the vote counts does not see it.
-- hint: A read from a replica that is behind, or answers given before the commit.
-- parameter: run_id text = null
with acknowledged as (
    select
        event_updates.live_event_id,
        event_updates.sequence,
        -- updates of an event are committed in their order: whoever was told of a later one proves the earlier
        min(calls.returned_at) over (
            partition by calls.run_id, event_updates.live_event_id
            order by event_updates.sequence
            rows between current row and unbounded following
        ) as known_at,
        calls.run_id
    from integrity.streamvote_calls as calls
    join streamvote.event_updates on event_updates.operation_id = calls.operation_id
    where
        calls.outcome = 'ok'
        and calls.operation in ('vote', 'close_event')
        and (:run_id is null or calls.run_id = :run_id)
),

polls as (
    select
        calls.run_id,
        calls.operation_id,
        calls.invoked_at,
        cast(calls.arguments ->> 'live_event_id' as bigint) as live_event_id,
        cast(calls.reply ->> 'sequence' as bigint) as sequence
    from integrity.streamvote_calls as calls
    join integrity.streamvote_requests as requests on requests.run_id = calls.run_id and requests.operation_id = calls.operation_id
    where
        calls.operation = 'poll_event'
        and calls.outcome = 'ok'
        and requests.answer ->> 'status' = 'miss'
        and (:run_id is null or calls.run_id = :run_id)
)

select
    polls.live_event_id,
    polls.run_id,
    polls.sequence,
    min(acknowledged.sequence) as unseen_sequence,
    polls.invoked_at,
    min(acknowledged.known_at) as known_at,
    cast(polls.operation_id as text) as operation_id
from polls
join acknowledged
    on
        acknowledged.run_id = polls.run_id
        and acknowledged.live_event_id = polls.live_event_id
        and acknowledged.sequence = polls.sequence + 1
where acknowledged.known_at < polls.invoked_at
group by polls.run_id, polls.operation_id, polls.live_event_id, polls.sequence, polls.invoked_at
order by polls.invoked_at, polls.operation_id
