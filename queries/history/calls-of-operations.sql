-- title: the calls with the given operation ids, in the order in which they were made
-- parameter: operation_ids text
-- parameter: systems text = ''
select
    cast(calls.operation_id as text) as operation_id,
    calls.run_id,
    calls.operation,
    calls.arguments,
    calls.client,
    calls.invoked_at,
    calls.returned_at,
    calls.outcome,
    calls.reply,
    calls.error,
    calls.attempts
from integrity.calls
left join integrity.runs on runs.run_id = calls.run_id
-- the parameters are texts with blanks between: arrays do not exist everywhere; without systems it is all of them
where
    position(cast(calls.operation_id as text) in :operation_ids) > 0
    and (:systems = '' or position(' ' || runs.system || ' ' in ' ' || :systems || ' ') > 0)
order by calls.invoked_at, calls.operation_id
