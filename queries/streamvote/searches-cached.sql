-- title: the searches of a run for what it had looked for before, and when the cache answered each
-- why: Where the cache does not answer, each viewer who looks around makes the database count all streamers.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'streamvote' order by started_at desc limit 1
with searches as (
    select
        run_id,
        operation_id,
        invoked_at,
        returned_at,
        -- a first one finds nothing kept, whatever the cache is worth
        row_number() over (partition by arguments ->> 'term' order by invoked_at) as number
    from integrity.streamvote_calls
    where run_id = :run_id and operation = 'list_streamers' and outcome = 'ok'
)
select
    cast(searches.operation_id as text) as operation_id,
    searches.invoked_at as began_at,
    case when asked.answer ->> 'status' = 'hit' then searches.returned_at end as reached_at
from searches
join integrity.requests as asked
    on asked.run_id = searches.run_id and asked.operation_id = searches.operation_id and asked.service = 'cache'
where searches.number > 1 and asked.payload ->> 'command' = 'get'
order by searches.invoked_at, searches.operation_id
