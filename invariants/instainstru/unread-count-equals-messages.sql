-- title: unread_count is the number of others' messages after the read marker
-- severity: error
-- source: unread_count is a cache of messages; it is the number on the app's badge
-- why: Too small, a message is never looked at; too large, the badge never goes away.
-- hint: A count that was read, changed outside the database and written back, or marked and counted without the lock.
select
    read_markers.participant_id,
    read_markers.conversation_id,
    read_markers.last_read_sequence,
    read_markers.unread_count,
    count(messages.id) as message_count,
    string_agg(cast(messages.operation_id as text), ' ') as operation_ids
from instainstru.read_markers
left join instainstru.messages
    on
        messages.conversation_id = read_markers.conversation_id
        and messages.sequence > read_markers.last_read_sequence
        and messages.sender_id <> read_markers.participant_id
group by read_markers.id
having read_markers.unread_count is distinct from count(messages.id)
order by read_markers.id
