-- title: a message is delivered only to who takes part in its conversation, and not to its sender
-- severity: error
-- source: privacy; a lesson's messages are between those who booked it
-- why: Somebody is shown a message that was never meant for them.
-- hint: Recipients taken from another booking, or from a list that was read before the conversation was known.
select
    deliveries.id as delivery_id,
    deliveries.message_id,
    deliveries.participant_id,
    messages.conversation_id,
    messages.sender_id,
    participants.booking_id as recipient_booking_id,
    conversations.booking_id,
    cast(deliveries.operation_id as text) as operation_id
from instainstru.deliveries
left join instainstru.messages on messages.id = deliveries.message_id
left join instainstru.conversations on conversations.id = messages.conversation_id
left join instainstru.participants on participants.id = deliveries.participant_id
where
    conversations.id is null
    or participants.id is null
    or participants.booking_id <> conversations.booking_id
    or deliveries.participant_id = messages.sender_id
order by deliveries.id
