-- title: a message that a provider accepted is stored
-- severity: error
-- source: the outbox; what leaves the house is in the books
-- why: The customer has a message that the business cannot see, and that nobody can answer for.
-- hint: The provider was asked inside the transaction that stores the message: it rolled back, and the message had left.
-- parameter: run_id text = null
select
    requests.run_id,
    requests.service,
    cast(requests.answer ->> 'message_id' as bigint) as message_id,
    requests.answer ->> 'provider_message_id' as provider_message_id,
    requests.requested_at,
    cast(requests.operation_id as text) as operation_id
from integrity.inbox_requests as requests
left join inbox.messages on messages.id = cast(requests.answer ->> 'message_id' as bigint)
where
    requests.service in ('whatsapp', 'email', 'sms')
    and requests.answer ->> 'status' = 'accepted'
    and messages.id is null
    and (:run_id is null or requests.run_id = :run_id)
order by requests.requested_at, requests.number
