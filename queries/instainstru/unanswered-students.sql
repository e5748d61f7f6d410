-- title: the conversations in which a student has the last word, the longest waiting first
-- parameter: since timestamptz = now - 90 days
select
    conversations.id as conversation_id,
    bookings.lesson,
    bookings.starts_at,
    messages.sent_at as waiting_since,
    messages.sequence,
    messages.body
from instainstru.conversations
join instainstru.bookings on bookings.id = conversations.booking_id
join instainstru.messages
    on messages.conversation_id = conversations.id and messages.sequence = conversations.last_sequence
join instainstru.participants on participants.id = messages.sender_id
where participants.role = 'student' and messages.sent_at >= :since
order by messages.sent_at, conversations.id
