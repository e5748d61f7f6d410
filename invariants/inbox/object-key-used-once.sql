-- title: an object's key is used once
-- severity: error
-- source: storage; two rows on one object delete each other's file
-- why: Deleting one file deletes the other, and one customer sees what another sent.
-- hint: Keys made of names that customers choose, or a unique constraint that was dropped.
select
    media.object_key,
    min(media.id) as media_id,
    min(media.conversation_id) as conversation_id,
    count(*) as media_count,
    string_agg(cast(media.operation_id as text), ' ') as operation_ids
from inbox.media
group by media.object_key
having count(*) > 1
order by min(media.id)
