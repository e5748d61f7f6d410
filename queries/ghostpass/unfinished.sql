-- title: what a run of ghostpass was told is done, or under way, and is not done at its end
-- why: An answer is not an end: what was accepted and never ended is nobody's failed call.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'ghostpass' order by started_at desc limit 1
select
    'fundings that the processor has not settled' as what,
    count(*) as open_count
from integrity.ghostpass_calls as calls
join ghostpass.fundings on fundings.operation_id = calls.operation_id
where calls.run_id = :run_id and fundings.status = 'pending'
order by what
