-- title: what a client was told has happened is in the database
-- severity: error
-- source: durability; an answer of ok is a promise
-- why: A client was told that it happened, and nothing remembers it.
-- hint: An answer given before the commit, synchronous_commit switched off, or a restore from an old backup.
-- parameter: run_id text = null
select
    calls.run_id,
    calls.operation,
    calls.client,
    calls.arguments,
    calls.reply,
    calls.returned_at,
    $columns
    cast(calls.operation_id as text) as operation_id
from $calls as calls
where
    calls.outcome = 'ok'
    $promised
    and (:run_id is null or calls.run_id = :run_id)
    $missing
order by calls.returned_at, calls.operation_id
