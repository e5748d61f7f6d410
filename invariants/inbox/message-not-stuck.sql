-- title: no message stays queued for longer than 15 minutes
-- severity: error
-- source: the promise to send; a queued message is sent again until the provider takes or rejects it
-- why: The customer waits for an answer that was written and never left.
-- hint: resend_queued does not run, or the provider refuses everything.
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    messages.id as message_id,
    messages.conversation_id,
    messages.business_id,
    messages.created_at,
    cast(messages.operation_id as text) as operation_id
from inbox.messages
where messages.status = 'queued' and messages.created_at < :stuck_before
order by messages.id
