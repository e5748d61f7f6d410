-- title: a user's conversations, newest message first, with what is unread
-- parameter: user_id bigint
-- sample: user_id = select id from instainstru.users order by id limit 20
-- index: participants_user_id_idx
select
    conversations.id as conversation_id,
    bookings.lesson,
    participants.role,
    conversations.last_message_at,
    conversations.last_sequence,
    read_markers.last_read_sequence,
    read_markers.unread_count
from instainstru.participants
join instainstru.bookings on bookings.id = participants.booking_id
join instainstru.conversations on conversations.booking_id = participants.booking_id
left join instainstru.read_markers
    on read_markers.conversation_id = conversations.id and read_markers.participant_id = participants.id
where participants.user_id = :user_id
order by conversations.last_message_at desc nulls last, conversations.id desc
limit 50
