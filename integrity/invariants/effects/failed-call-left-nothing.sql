-- title: a declined or failed call left nothing behind
-- severity: error
-- source: atomicity; a no is a promise too
-- why: A client was told no, and it happened all the same.
-- hint: A transaction committed before the answer was known, or an error after the commit that was reported as a failure.
-- parameter: run_id text = null
select
    effects.$subject,
    effects.effect,
    effects.effect_id,
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
order by effects.effect, effects.effect_id
