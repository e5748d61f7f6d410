-- title: a declined or failed call moved no money
-- severity: error
-- source: atomicity; a no is a promise too
-- why: The owner was told no and was charged all the same.
-- hint: A transaction committed before the answer was known, or an error after the commit that was reported as a failure.
-- parameter: run_id text = null
select
    entries.wallet_id,
    sum(entries.amount_minor) as moved_minor,
    count(*) as entry_count,
    calls.run_id,
    calls.operation,
    calls.outcome,
    calls.error,
    cast(calls.operation_id as text) as operation_id
from integrity.safebox_calls as calls
join safebox.entries on entries.operation_id = calls.operation_id and entries.account = 'wallet'
where calls.outcome in ('declined', 'failed') and calls.run_id = coalesce(:run_id, calls.run_id)
group by entries.wallet_id, calls.run_id, calls.operation, calls.outcome, calls.error, calls.operation_id
-- a payment that failed was debited and returned
having sum(entries.amount_minor) <> 0
order by calls.operation_id, entries.wallet_id
