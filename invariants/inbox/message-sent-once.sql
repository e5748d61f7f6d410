-- title: a provider's events about a message are about the sending that we know
-- severity: error
-- source: exactly-once effects; a retry is no second message
-- why: The customer gets the same message twice, and the business pays for both.
-- hint: A retry after an unknown outcome under a new idempotency key, or without asking the provider first.
select
    provider_events.message_id,
    messages.conversation_id,
    messages.provider_message_id,
    provider_events.provider_message_id as event_provider_message_id,
    provider_events.event_id,
    provider_events.kind,
    cast(messages.operation_id as text) as operation_id
from inbox.provider_events
join inbox.messages on messages.id = provider_events.message_id
where provider_events.provider_message_id is distinct from messages.provider_message_id
order by provider_events.id
