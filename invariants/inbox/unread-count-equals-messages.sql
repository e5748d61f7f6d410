-- title: a conversation's unread_count is the number of inbound messages after the last one read
-- severity: error
-- source: unread_count is a cache of messages
-- why: A customer waits for an answer and the dashboard says that there is nothing to do.
-- hint: The count was written from a stale read, or the newest message looked for before the conversation's lock was held.
select
    conversations.id as conversation_id,
    conversations.business_id,
    conversations.unread_count,
    count(messages.id) as unread_messages,
    conversations.last_read_message_id,
    string_agg(cast(messages.operation_id as text), ' ') as operation_ids
from inbox.conversations
left join inbox.messages
    on
        messages.conversation_id = conversations.id
        and messages.id > conversations.last_read_message_id
        and messages.direction = 'inbound'
group by conversations.id, conversations.business_id, conversations.unread_count, conversations.last_read_message_id
having conversations.unread_count <> count(messages.id)
order by conversations.id
