-- title: every stored file of a run has its object in the store
-- severity: error
-- source: storage; what is shown can be opened
-- why: The business opens the file and gets an error; the customer will not send it again.
-- hint: The row was marked as stored without the store's word.
-- parameter: run_id text = null
-- parameter: in_gaps boolean = false
select
    media.id as media_id,
    media.conversation_id,
    media.object_key,
    calls.run_id,
    cast(media.operation_id as text) as operation_id
from integrity.inbox_calls as calls
join inbox.media on media.operation_id = calls.operation_id
left join (
    select
        requests.payload ->> 'object_key' as object_key,
        count(*) as word_count
    from integrity.inbox_requests as requests
    where requests.service = 'store' and requests.answer ->> 'status' = 'stored'
    group by requests.payload ->> 'object_key'
) as stored on stored.object_key = media.object_key
where
    media.status = 'stored'
    and stored.object_key is null
    -- where the requests of a run are not all there, the store's word may be among the missing
    and exists (
        select gaps.run_id
        from integrity.inbox_gaps as gaps
        where gaps.run_id = calls.run_id and gaps.requests_from is not null
    ) = :in_gaps
    and (:run_id is null or calls.run_id = :run_id)
order by media.id
