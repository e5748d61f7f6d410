-- title: a declined or failed call moved nothing
-- severity: error
-- source: atomicity; a no is a promise too
-- why: A client was told no, and was charged all the same.
-- hint: A transaction committed before the answer was known, or an error after the commit that was reported as a failure.
-- parameter: run_id text = null
select
    effects.$subject,
    sum(effects.moved_minor) as moved_minor,
    count(*) as entry_count,
    calls.run_id,
    calls.operation,
    calls.outcome,
    calls.error,
    cast(calls.operation_id as text) as operation_id
from $calls as calls
join (
    $effects
) as effects on effects.operation_id = calls.operation_id
where
    -- unavailable with an error: the database itself said no, and not an outside party that may yet answer
    (calls.outcome in ('declined', 'failed') or calls.outcome = 'unavailable' and calls.error <> '')
    and (:run_id is null or calls.run_id = :run_id)
group by effects.$subject, calls.run_id, calls.operation, calls.outcome, calls.error, calls.operation_id
-- what failed on the way was taken and returned
having sum(effects.moved_minor) <> 0
order by calls.operation_id, effects.$subject
