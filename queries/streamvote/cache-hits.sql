-- title: how many of a run's polls and searches the cache answered; the load test plan wants 80% of searches
-- parameter: run_id text = null
select
    calls.run_id,
    calls.operation,
    count(*) as asked_count,
    count(*) filter (where requests.answer ->> 'status' = 'hit') as hit_count,
    max(cast(requests.answer ->> 'age_ms' as bigint)) as age_ms_most
from integrity.calls
join integrity.requests on requests.run_id = calls.run_id and requests.operation_id = calls.operation_id
where
    requests.service = 'cache'
    and requests.payload ->> 'command' = 'get'
    and calls.operation in ('poll_event', 'list_streamers')
    and (:run_id is null or calls.run_id = :run_id)
group by calls.run_id, calls.operation
order by calls.run_id, calls.operation
