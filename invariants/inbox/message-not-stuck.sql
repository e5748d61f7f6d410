-- title: no message stays queued when its run has settled what it owed, else for longer than 15 minutes
-- severity: error
-- source: the promise to send; a queued message is sent again until the provider takes or rejects it
-- why: The customer waits for an answer that was written and never left.
-- hint: resend_queued does not run, or the provider refuses everything.
-- parameter: run_id text = null
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    messages.id as message_id,
    messages.conversation_id,
    messages.business_id,
    messages.created_at,
    coalesce(runs.settled_at, :stuck_before) as open_at,
    cast(messages.operation_id as text) as operation_id
from inbox.messages
left join integrity.inbox_calls as calls on calls.operation_id = messages.operation_id
left join integrity.inbox_runs as runs on runs.run_id = calls.run_id
where
    messages.status = 'queued'
    and (
        -- its run has delivered what was owed and taken up what was left: nobody else will
        (runs.settled_at is not null and (:run_id is null or calls.run_id = :run_id))
        -- nobody's run made it: the clock decides; what a run of which no calls are there made is that run's matter
        or (
            calls.run_id is null
            and :run_id is null
            and messages.created_at < :stuck_before
            and not exists (
                select gaps.run_id
                from integrity.inbox_gaps as gaps
                where messages.created_at >= gaps.calls_from and messages.created_at < gaps.ended_at
            )
        )
    )
order by messages.id
