-- title: the conversations with the most messages
-- parameter: since timestamptz = now - 90 days
select
    messages.conversation_id,
    bookings.lesson,
    count(*) as message_count,
    count(distinct messages.sender_id) as sender_count,
    max(messages.sent_at) as last_message_at
from instainstru.messages
join instainstru.conversations on conversations.id = messages.conversation_id
join instainstru.bookings on bookings.id = conversations.booking_id
where messages.sent_at >= :since
group by messages.conversation_id, bookings.lesson
order by message_count desc, messages.conversation_id
limit 20
