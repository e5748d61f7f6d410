-- title: a message and its conversation belong to one business
-- severity: error
-- source: tenant isolation
-- why: The business that the row names sees a stranger's message in its search, and counts it in its figures.
-- hint: The business was taken from the request or the session, not from the conversation.
select
    messages.id as message_id,
    messages.business_id,
    messages.conversation_id,
    conversations.business_id as conversation_business_id,
    messages.direction,
    cast(messages.operation_id as text) as operation_id
from inbox.messages
left join inbox.conversations on conversations.id = messages.conversation_id
where conversations.business_id is distinct from messages.business_id
order by messages.id
