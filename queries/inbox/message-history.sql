-- title: what became of a message: each thing its provider told, in order
-- parameter: message_id bigint
-- index: provider_events_message_id_idx
-- sample: message_id = select id from inbox.messages where direction = 'outbound' order by id limit 20
select
    messages.id as message_id,
    messages.status,
    provider_events.event_id,
    provider_events.kind,
    provider_events.applied_at,
    cast(provider_events.operation_id as text) as operation_id
from inbox.messages
left join inbox.provider_events on provider_events.message_id = messages.id
where messages.id = :message_id
order by provider_events.id
