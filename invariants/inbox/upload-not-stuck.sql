-- title: no upload stays pending for longer than 15 minutes
-- severity: error
-- source: storage; an upload ends, one way or the other
-- why: Whether the file is there nobody knows, and nobody asks.
-- hint: settle_uploads does not run, or the store does not answer.
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    media.id as media_id,
    media.conversation_id,
    media.object_key,
    media.created_at,
    cast(media.operation_id as text) as operation_id
from inbox.media
where media.status = 'pending' and media.created_at < :stuck_before
order by media.id
