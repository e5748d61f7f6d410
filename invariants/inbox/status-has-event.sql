-- title: a message counts as delivered or failed because the provider said so
-- severity: error
-- source: the life of a message; only the provider knows whether it arrived
-- why: A message that nobody delivered is reported as delivered.
-- hint: A status set by hand or by a guess, or an event deleted or rolled back while the status stayed.
select
    messages.id as message_id,
    messages.conversation_id,
    messages.status,
    messages.provider_message_id,
    cast(messages.operation_id as text) as operation_id
from inbox.messages
left join inbox.provider_events
    on provider_events.message_id = messages.id and provider_events.kind = messages.status
where
    messages.status in ('delivered', 'failed')
    -- one that the provider did not even accept has no id, and no events
    and messages.provider_message_id is not null
    and provider_events.message_id is null
order by messages.id
