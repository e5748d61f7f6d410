-- title: who sends a message takes part in its conversation
-- severity: error
-- source: privacy; a lesson's messages are between those who booked it
-- why: A stranger has written into a private conversation, and the answer will go to the stranger's lesson or nowhere.
-- hint: The conversation was taken from the request and not from the sender's booking.
select
    messages.id as message_id,
    messages.conversation_id,
    messages.sequence,
    messages.sender_id,
    participants.booking_id as sender_booking_id,
    conversations.booking_id,
    cast(messages.operation_id as text) as operation_id
from instainstru.messages
left join instainstru.conversations on conversations.id = messages.conversation_id
left join instainstru.participants on participants.id = messages.sender_id
where
    conversations.id is null
    or participants.id is null
    or participants.booking_id <> conversations.booking_id
order by messages.id
