-- title: the newest 100 messages of a conversation, newest first
-- source: the messaging plan's Q2
-- parameter: conversation_id bigint
-- limit-ms: 100
-- index: messages_conversation_id_id_key
-- sample: conversation_id = select conversation_id from inbox.messages
--     group by conversation_id order by count(*) desc, conversation_id limit 20
select
    messages.id as message_id,
    messages.direction,
    messages.status,
    messages.body,
    messages.created_at,
    cast(messages.operation_id as text) as operation_id
from inbox.messages
where messages.conversation_id = :conversation_id
order by messages.id desc
limit 100
