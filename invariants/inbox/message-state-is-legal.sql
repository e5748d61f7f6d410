-- title: a message's direction, status, provider's id and rate window fit together
-- severity: error
-- source: the life of a message: received; or queued, sent, then delivered or failed
-- why: A message in a state that there is not is handled by nothing: not sent again, not shown, not counted.
-- hint: A status written by hand, or a check constraint that was dropped.
select
    messages.id as message_id,
    messages.conversation_id,
    messages.direction,
    messages.status,
    messages.provider_message_id,
    messages.rate_window_id,
    cast(messages.operation_id as text) as operation_id
from inbox.messages
where
    (messages.direction = 'inbound') <> (messages.status = 'received')
    or (messages.direction = 'outbound') <> (messages.rate_window_id is not null)
    or (messages.status = 'queued' and messages.provider_message_id is not null)
    or (messages.status in ('received', 'sent', 'delivered') and messages.provider_message_id is null)
order by messages.id
