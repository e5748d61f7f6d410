-- title: the numbers of a conversation's messages start at 1 and have no gap
-- severity: error
-- source: ordered delivery; a missing number is a missing message
-- why: A listener takes a gap for a message that is still to come, or was lost, and asks for it for ever.
-- hint: Numbers from a database sequence, which a rollback does not give back, or a message that was deleted.
select
    messages.conversation_id,
    count(*) as message_count,
    min(messages.sequence) as sequence_least,
    max(messages.sequence) as sequence_most,
    string_agg(cast(messages.operation_id as text), ' ') as operation_ids
from instainstru.messages
group by messages.conversation_id
having min(messages.sequence) <> 1 or max(messages.sequence) > count(*)
order by messages.conversation_id
