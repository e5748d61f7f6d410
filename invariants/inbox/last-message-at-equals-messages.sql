-- title: a conversation's last_message_at is the time of its newest message
-- severity: error
-- source: last_message_at is a cache of messages; dashboards are sorted by it
-- why: A conversation with a new message stays at the bottom, where nobody looks.
-- hint: The time was written without looking at the one that is there: transactions do not commit in the order they began.
select
    conversations.id as conversation_id,
    conversations.business_id,
    conversations.last_message_at,
    max(messages.created_at) as newest_message_at,
    count(messages.id) as message_count
from inbox.conversations
left join inbox.messages on messages.conversation_id = conversations.id
group by conversations.id, conversations.business_id, conversations.last_message_at
having conversations.last_message_at is distinct from max(messages.created_at)
order by conversations.id
