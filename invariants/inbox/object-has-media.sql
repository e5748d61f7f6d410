-- title: every object in the store has its row
-- severity: error
-- source: storage; what is kept is known, found and deleted when asked
-- why: A customer's file that no row knows of is paid for, for ever, and never deleted when the customer asks for it.
-- hint: The object was stored before its row, and the row failed; or an upload was abandoned while it could still arrive.
-- parameter: run_id text = null
select
    min(requests.run_id) as run_id,
    requests.payload ->> 'object_key' as object_key,
    media.id as media_id,
    media.status,
    min(requests.requested_at) as stored_at,
    min(cast(requests.operation_id as text)) as operation_id
from integrity.inbox_requests as requests
left join inbox.media on media.object_key = requests.payload ->> 'object_key'
where
    requests.service = 'store'
    and requests.answer ->> 'status' in ('stored', 'revoked')
    and coalesce(media.status, 'abandoned') = 'abandoned'
group by requests.payload ->> 'object_key', media.id, media.status
-- the store of a later run begins empty: where it says that there is nothing, there is nothing
having
    count(*) filter (where requests.answer ->> 'status' = 'revoked') = 0
    and (:run_id is null or min(requests.run_id) = :run_id)
order by min(requests.requested_at), requests.payload ->> 'object_key'
