-- title: a call took effect at most once, also when its answer was lost
-- severity: error
-- source: exactly-once effects; an unknown call happened or did not, never twice
-- why: A retry after a lost answer that happens again does twice what was asked for once.
-- hint: A retry without looking for the operation_id, after a connection broke or a serialization failure.
-- parameter: run_id text = null
select
    min(effects.$subject) as $subject,
    effects.effect,
    count(*) as effect_count,
    calls.run_id,
    calls.operation,
    calls.outcome,
    cast(calls.operation_id as text) as operation_id
from $calls as calls
join (
    $effects
) as effects on effects.operation_id = calls.operation_id
where (:run_id is null or calls.run_id = :run_id)
group by calls.operation_id, calls.run_id, calls.operation, calls.outcome, effects.effect
having count(*) > 1
order by calls.operation_id, effects.effect
