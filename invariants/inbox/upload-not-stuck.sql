-- title: no upload stays pending when its run has settled what it owed, else for longer than 15 minutes
-- severity: error
-- source: storage; an upload ends, one way or the other
-- why: Whether the file is there nobody knows, and nobody asks.
-- hint: settle_uploads does not run, or the store does not answer.
-- parameter: run_id text = null
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    media.id as media_id,
    media.conversation_id,
    media.object_key,
    media.created_at,
    coalesce(runs.settled_at, :stuck_before) as open_at,
    cast(media.operation_id as text) as operation_id
from inbox.media
left join integrity.inbox_calls as calls on calls.operation_id = media.operation_id
left join integrity.inbox_runs as runs on runs.run_id = calls.run_id
where
    media.status = 'pending'
    and (
        -- its run has delivered what was owed and taken up what was left: nobody else will
        (runs.settled_at is not null and (:run_id is null or calls.run_id = :run_id))
        -- nobody's run made it: the clock decides; what a run of which no calls are there made is that run's matter
        or (
            calls.run_id is null
            and :run_id is null
            and media.created_at < :stuck_before
            and not exists (
                select gaps.run_id
                from integrity.inbox_gaps as gaps
                where media.created_at >= gaps.calls_from and media.created_at < gaps.ended_at
            )
        )
    )
order by media.id
