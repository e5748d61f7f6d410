-- title: a conversation's messages in their order, with how many have got and read each
-- parameter: conversation_id bigint
-- sample: conversation_id = select id from instainstru.conversations order by last_sequence desc, id limit 20
-- index: messages_conversation_id_sequence_key
select
    messages.sequence,
    messages.id as message_id,
    messages.sent_at,
    participants.role as sender_role,
    users.name as sender_name,
    messages.body,
    count(deliveries.id) as delivered_count,
    count(read_markers.id) as read_count,
    cast(messages.operation_id as text) as operation_id
from instainstru.messages
left join instainstru.participants on participants.id = messages.sender_id
left join instainstru.users on users.id = participants.user_id
left join instainstru.deliveries on deliveries.message_id = messages.id
left join instainstru.read_markers
    on
        read_markers.conversation_id = messages.conversation_id
        and read_markers.participant_id = deliveries.participant_id
        and read_markers.last_read_sequence >= messages.sequence
where messages.conversation_id = :conversation_id
group by messages.id, participants.id, users.id
order by messages.sequence, messages.id
