-- title: what a run of streamvote was told is done, or under way, and is not done at its end
-- why: An answer is not an end: what was accepted and never ended is nobody's failed call.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'streamvote' order by started_at desc limit 1
select
    'invoices that are paid and whose credit is queued' as what,
    count(*) as open_count
from integrity.streamvote_calls as calls
join streamvote.invoices on invoices.operation_id = calls.operation_id
where calls.run_id = :run_id and invoices.status = 'paid'
union all
select
    'invoices that the provider has not ended' as what,
    count(*) as open_count
from integrity.streamvote_calls as calls
join streamvote.invoices on invoices.operation_id = calls.operation_id
where calls.run_id = :run_id and invoices.status = 'open'
order by what
