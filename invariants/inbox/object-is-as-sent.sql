-- title: an object's size and hash are those of its row
-- severity: error
-- source: storage; what is opened is what was sent
-- why: A file that was cut off or mixed up looks stored and is not what the customer sent.
-- hint: An upload that was not compared with its hash, or two uploads under one key.
-- parameter: run_id text = null
select
    media.id as media_id,
    media.conversation_id,
    media.object_key,
    media.size_bytes,
    cast(requests.payload ->> 'size_bytes' as bigint) as object_size_bytes,
    media.content_hash,
    requests.payload ->> 'content_hash' as object_content_hash,
    cast(requests.operation_id as text) as operation_id
from integrity.inbox_requests as requests
join inbox.media on media.object_key = requests.payload ->> 'object_key'
where
    requests.service = 'store'
    and requests.payload ->> 'action' = 'put'
    and (
        cast(requests.payload ->> 'size_bytes' as bigint) <> media.size_bytes
        or requests.payload ->> 'content_hash' <> media.content_hash
    )
    and (:run_id is null or requests.run_id = :run_id)
order by media.id, requests.number
