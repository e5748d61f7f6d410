-- title: a message's status is never behind what the provider has told
-- severity: error
-- source: the life of a message; a status only goes forwards
-- why: The customer has the message and the business is told that it is still on its way, and sends it again.
-- hint: Events applied in the order of their arrival: one that was held back takes the message back.
select
    messages.id as message_id,
    messages.conversation_id,
    messages.status,
    provider_events.kind,
    provider_events.event_id,
    provider_events.applied_at,
    cast(provider_events.operation_id as text) as operation_id
from inbox.provider_events
join inbox.messages on messages.id = provider_events.message_id
where
    provider_events.provider_message_id = messages.provider_message_id
    and case messages.status when 'queued' then 0 when 'sent' then 1 else 2 end
    < case provider_events.kind when 'sent' then 1 else 2 end
order by provider_events.id
