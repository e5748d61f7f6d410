-- title: what a client was told has happened is in the database
-- severity: error
-- source: durability; an answer of ok is a promise
select
    calls.run_id,
    calls.operation,
    calls.arguments,
    cast(calls.operation_id as text) as operation_id
from integrity.bank_calls as calls
left join movements on movements.operation_id = calls.operation_id
where calls.outcome = 'ok' and movements.id is null
order by calls.returned_at, calls.operation_id
