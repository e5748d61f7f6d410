-- title: a provider's event is about an outbound message that exists
-- severity: error
-- source: webhooks; an event tells of what we sent
-- why: An event about nothing is a message that was sent and not stored, or one that was stored and deleted.
-- hint: A foreign key that was dropped, a message deleted by hand, or events of another account.
select
    provider_events.id as provider_event_id,
    provider_events.event_id,
    provider_events.message_id,
    messages.direction,
    cast(provider_events.operation_id as text) as operation_id
from inbox.provider_events
left join inbox.messages on messages.id = provider_events.message_id
where messages.direction is distinct from 'outbound'
order by provider_events.id
