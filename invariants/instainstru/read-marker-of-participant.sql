-- title: a read marker belongs to somebody who takes part in its conversation
-- severity: error
-- source: privacy; a marker puts the conversation into an inbox
-- why: A stranger's inbox shows the conversation and counts its messages.
-- hint: A marker made from a request's conversation and not from the participant's booking.
select
    read_markers.participant_id,
    read_markers.conversation_id,
    participants.booking_id as participant_booking_id,
    conversations.booking_id,
    cast(read_markers.operation_id as text) as operation_id
from instainstru.read_markers
left join instainstru.conversations on conversations.id = read_markers.conversation_id
left join instainstru.participants on participants.id = read_markers.participant_id
where
    conversations.id is null
    or participants.id is null
    or participants.booking_id <> conversations.booking_id
order by read_markers.id
