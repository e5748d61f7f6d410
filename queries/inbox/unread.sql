-- title: the businesses that keep customers waiting: unread conversations and messages
select
    conversations.business_id,
    count(*) as conversation_count,
    sum(conversations.unread_count) as unread_count,
    min(conversations.last_message_at) as longest_waiting_since
from inbox.conversations
where conversations.unread_count > 0
group by conversations.business_id
order by sum(conversations.unread_count) desc, conversations.business_id
