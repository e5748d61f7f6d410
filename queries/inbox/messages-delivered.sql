-- title: the messages of a run that a provider did not give back, and when each was known to be delivered
-- why: What was stored, or what a provider took, says nothing of whether the customer has it.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'inbox' order by started_at desc limit 1
select
    messages.id as message_id,
    messages.status,
    sent.intended_at as began_at,
    min(provider_events.applied_at) as reached_at
from integrity.inbox_calls as sent
join inbox.messages on messages.operation_id = sent.operation_id and messages.direction = 'outbound'
left join inbox.provider_events on provider_events.message_id = messages.id and provider_events.kind = 'delivered'
where
    sent.run_id = :run_id
    and sent.operation in ('send_whatsapp', 'send_email', 'send_sms')
    and messages.status <> 'failed'
group by messages.id, messages.status, sent.intended_at
order by messages.id
