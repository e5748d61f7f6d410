-- title: a message that was sent again is stored once
-- severity: error
-- source: a phone without an answer sends again; the sender's own id says that it is the same message
-- why: Everybody reads it twice, and so does whoever is notified.
-- hint: The sender's id was looked up before the lock, then inserted, and no unique constraint stopped the second one.
select
    messages.sender_id,
    messages.client_message_id,
    min(messages.conversation_id) as conversation_id,
    count(*) as message_count,
    string_agg(cast(messages.id as text), ' ') as message_ids,
    string_agg(cast(messages.operation_id as text), ' ') as operation_ids
from instainstru.messages
group by messages.sender_id, messages.client_message_id
having count(*) > 1
order by messages.sender_id, messages.client_message_id
