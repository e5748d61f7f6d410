-- title: nobody has read further than the newest message
-- severity: error
-- source: read markers; what was not sent cannot have been read
-- why: The messages up to there will count as read as soon as they are sent.
-- hint: A number taken from the client as it stands, or a marker that was restored without its messages.
select
    read_markers.participant_id,
    read_markers.conversation_id,
    read_markers.last_read_sequence,
    conversations.last_sequence,
    cast(read_markers.operation_id as text) as operation_id
from instainstru.read_markers
join instainstru.conversations on conversations.id = read_markers.conversation_id
where read_markers.last_read_sequence > conversations.last_sequence
order by read_markers.id
