-- title: a provider accepted a message once
-- severity: error
-- source: exactly-once effects; a retry is no second message
-- why: The customer gets the same message twice, and the business pays for both.
-- hint: A retry after an unknown outcome under a new idempotency key, or without asking the provider first.
select
    cast(requests.answer ->> 'message_id' as bigint) as message_id,
    messages.conversation_id,
    count(distinct requests.answer ->> 'provider_message_id') as accepted_count,
    min(requests.answer ->> 'provider_message_id') as first_id,
    max(requests.answer ->> 'provider_message_id') as last_id,
    string_agg(cast(requests.operation_id as text), ' ') as operation_ids
from integrity.inbox_requests as requests
left join inbox.messages on messages.id = cast(requests.answer ->> 'message_id' as bigint)
where requests.service in ('whatsapp', 'email', 'sms') and requests.answer ->> 'status' = 'accepted'
group by cast(requests.answer ->> 'message_id' as bigint), messages.conversation_id
having count(distinct requests.answer ->> 'provider_message_id') > 1
order by cast(requests.answer ->> 'message_id' as bigint)
