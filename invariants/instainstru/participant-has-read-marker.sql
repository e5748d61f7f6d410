-- title: everybody who takes part in a conversation has one read marker in it
-- severity: error
-- source: read_markers; what is unread is counted there
-- why: Without a marker nothing is ever unread, and the conversation is missing from the inbox.
-- hint: A conversation made in one transaction and its markers in another, or a participant who joined later.
select
    conversations.booking_id,
    conversations.id as conversation_id,
    participants.id as participant_id,
    participants.role,
    count(read_markers.id) as marker_count,
    cast(conversations.operation_id as text) as operation_id
from instainstru.conversations
join instainstru.participants on participants.booking_id = conversations.booking_id
left join instainstru.read_markers
    on read_markers.conversation_id = conversations.id and read_markers.participant_id = participants.id
group by conversations.id, participants.id
having count(read_markers.id) <> 1
order by conversations.id, participants.id
