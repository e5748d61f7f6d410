-- title: a message is delivered to every other participant exactly once
-- severity: error
-- source: lesson messaging; delivered equals sent, in a private lesson and in a group
-- why: Who is left out does not know that the lesson was moved; who gets it twice is notified twice.
-- hint: Deliveries written after the commit, by a job that can die or be tried twice, or only for the first other participant.
select
    messages.id as message_id,
    messages.conversation_id,
    messages.sequence,
    messages.sender_id,
    participants.id as participant_id,
    count(deliveries.id) as delivery_count,
    cast(messages.operation_id as text) as operation_id
from instainstru.messages
join instainstru.conversations on conversations.id = messages.conversation_id
join instainstru.participants
    on participants.booking_id = conversations.booking_id and participants.id <> messages.sender_id
left join instainstru.deliveries
    on deliveries.message_id = messages.id and deliveries.participant_id = participants.id
group by messages.id, participants.id
having count(deliveries.id) <> 1
order by messages.id, participants.id
