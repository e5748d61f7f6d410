-- title: a file, its conversation and its message belong together, and to one business
-- severity: error
-- source: tenant isolation
-- why: A file that hangs on somebody else's message is shown to somebody else.
-- hint: The message or the business was taken from the request, or a foreign key over both was dropped.
select
    media.id as media_id,
    media.business_id,
    media.conversation_id,
    conversations.business_id as conversation_business_id,
    media.message_id,
    messages.conversation_id as message_conversation_id,
    cast(media.operation_id as text) as operation_id
from inbox.media
left join inbox.conversations on conversations.id = media.conversation_id
left join inbox.messages on messages.id = media.message_id
where
    conversations.business_id is distinct from media.business_id
    or messages.conversation_id is distinct from media.conversation_id
order by media.id
