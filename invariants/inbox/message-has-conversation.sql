-- title: every message belongs to a conversation that exists
-- severity: error
-- source: referential integrity; counts over conversations cannot see what belongs to none
-- why: A message that belongs to no conversation is on nobody's screen.
-- hint: A foreign key that was dropped or never validated, or a conversation deleted by hand.
select
    messages.id as message_id,
    messages.conversation_id,
    messages.business_id,
    messages.direction,
    messages.status,
    cast(messages.operation_id as text) as operation_id
from inbox.messages
left join inbox.conversations on conversations.id = messages.conversation_id
where conversations.id is null
order by messages.id
