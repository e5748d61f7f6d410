-- title: a provider's id names one message
-- severity: error
-- source: idempotency; an inbound message is stored once, however often it is passed on
-- why: A customer's message that shows twice is answered twice; two that share an id follow each other's events.
-- hint: The unique index on provider_message_id is gone, or was checked in the application.
select
    messages.provider_message_id,
    min(messages.id) as message_id,
    min(messages.conversation_id) as conversation_id,
    count(*) as message_count,
    string_agg(cast(messages.operation_id as text), ' ') as operation_ids
from inbox.messages
where messages.provider_message_id is not null
group by messages.provider_message_id
having count(*) > 1
order by min(messages.id)
