-- title: a conversation's last_sequence is the number of its newest message
-- severity: error
-- source: last_sequence is a cache of messages; the next message is numbered by it
-- why: Ahead of the messages it leaves a gap; behind them the next message cannot be sent, or repeats a number.
-- hint: A number taken in one transaction and used in another, or messages restored without their conversation.
select
    conversations.id as conversation_id,
    conversations.booking_id,
    conversations.last_sequence,
    coalesce(max(messages.sequence), 0) as newest_sequence,
    string_agg(cast(messages.operation_id as text), ' ') as operation_ids
from instainstru.conversations
left join instainstru.messages on messages.conversation_id = conversations.id
group by conversations.id
having conversations.last_sequence is distinct from coalesce(max(messages.sequence), 0)
order by conversations.id
