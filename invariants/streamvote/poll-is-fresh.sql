-- title: a poll is answered with nothing that was read more than a second ago
-- severity: error
-- source: the load test plan: staleness below 1 s, cache lifetimes respected
-- why: Viewers who poll see a vote that is long over, and vote for what has lost.
-- hint: A value put into the cache without a time to live, or one that counts from the put and not from the read.
-- parameter: run_id text = null
select
    cast(calls.arguments ->> 'live_event_id' as bigint) as live_event_id,
    calls.run_id,
    cast(requests.answer ->> 'age_ms' as bigint) as age_ms,
    cast(calls.reply ->> 'sequence' as bigint) as sequence,
    calls.returned_at,
    cast(calls.operation_id as text) as operation_id
from integrity.streamvote_calls as calls
join integrity.streamvote_requests as requests on requests.run_id = calls.run_id and requests.operation_id = calls.operation_id
where
    calls.operation = 'poll_event'
    and requests.service = 'cache'
    and requests.answer ->> 'status' = 'hit'
    and cast(requests.answer ->> 'age_ms' as bigint) > 1000
    and (:run_id is null or calls.run_id = :run_id)
order by calls.returned_at, calls.operation_id
