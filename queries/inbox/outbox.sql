-- title: the messages that wait to be sent, oldest first
select
    messages.id as message_id,
    messages.business_id,
    messages.conversation_id,
    conversations.channel,
    messages.created_at,
    cast(messages.operation_id as text) as operation_id
from inbox.messages
join inbox.conversations on conversations.id = messages.conversation_id
where messages.status = 'queued'
order by messages.created_at, messages.id
