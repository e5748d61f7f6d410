-- title: a number of a conversation is given to one message
-- severity: error
-- source: ordered delivery; a stream's cursor is a number
-- why: Of two messages with one number a listener who has seen the first is never shown the second.
-- hint: The number was computed as the greatest one plus one without a lock, and no unique constraint stopped the second.
select
    messages.conversation_id,
    messages.sequence,
    count(*) as message_count,
    string_agg(cast(messages.id as text), ' ') as message_ids,
    string_agg(cast(messages.operation_id as text), ' ') as operation_ids
from instainstru.messages
group by messages.conversation_id, messages.sequence
having count(*) > 1
order by messages.conversation_id, messages.sequence
