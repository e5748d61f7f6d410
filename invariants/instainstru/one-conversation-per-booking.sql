-- title: a booking has at most one conversation
-- severity: error
-- source: lesson messaging; whoever takes part in a lesson talks in one place
-- why: Instructor and student write into two different chats, and each waits for the other's answer.
-- hint: The conversation was looked up, then inserted, without a unique constraint: two who opened it both found none.
select
    conversations.booking_id,
    count(*) as conversation_count,
    string_agg(cast(conversations.id as text), ' ') as conversation_ids,
    string_agg(cast(conversations.operation_id as text), ' ') as operation_ids
from instainstru.conversations
group by conversations.booking_id
having count(*) > 1
order by conversations.booking_id
