-- title: what a run of inbox was told is done, or under way, and is not done at its end
-- why: An answer is not an end: what was accepted and never ended is nobody's failed call.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'inbox' order by started_at desc limit 1
select
    'checkouts that the processor has not ended' as what,
    count(*) as open_count
from integrity.inbox_calls as calls
join inbox.checkouts on checkouts.operation_id = calls.operation_id
where calls.run_id = :run_id and checkouts.status = 'open'
union all
select
    'messages that are queued' as what,
    count(*) as open_count
from integrity.inbox_calls as calls
join inbox.messages on messages.operation_id = calls.operation_id
where calls.run_id = :run_id and messages.status = 'queued'
union all
select
    'messages that are sent and not delivered' as what,
    count(*) as open_count
from integrity.inbox_calls as calls
join inbox.messages on messages.operation_id = calls.operation_id
where calls.run_id = :run_id and messages.status = 'sent'
union all
select
    'uploads that are not finished' as what,
    count(*) as open_count
from integrity.inbox_calls as calls
join inbox.media on media.operation_id = calls.operation_id
where calls.run_id = :run_id and media.status = 'pending'
order by what
