-- title: a conversation is between one instructor and at least one student
-- severity: error
-- source: lesson messaging; a booking joins an instructor with those who learn
-- why: Messages of a conversation with one side reach nobody.
-- hint: A participant deleted with a user's account, or a booking made in two transactions of which one was lost.
select
    conversations.booking_id,
    conversations.id as conversation_id,
    count(participants.id) filter (where participants.role = 'instructor') as instructor_count,
    count(participants.id) filter (where participants.role = 'student') as student_count,
    cast(conversations.operation_id as text) as operation_id
from instainstru.conversations
left join instainstru.participants on participants.booking_id = conversations.booking_id
group by conversations.id
having
    count(participants.id) filter (where participants.role = 'instructor') <> 1
    or count(participants.id) filter (where participants.role = 'student') < 1
order by conversations.id
