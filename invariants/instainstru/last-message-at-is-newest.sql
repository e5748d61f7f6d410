-- title: a conversation's last_message_at is the time of its newest message
-- severity: error
-- source: last_message_at is a cache of messages; inboxes are ordered by it
-- why: A conversation with an old time sinks in the inbox, and its new message is not seen.
-- hint: The time is written after the commit, or from the sender's clock: who is late overwrites a later time.
select
    conversations.id as conversation_id,
    conversations.booking_id,
    conversations.last_message_at,
    max(messages.sent_at) as newest_sent_at,
    string_agg(cast(messages.operation_id as text), ' ') as operation_ids
from instainstru.conversations
left join instainstru.messages on messages.conversation_id = conversations.id
group by conversations.id
having conversations.last_message_at is distinct from max(messages.sent_at)
order by conversations.id
