-- title: a listener is shown each message once, also when it comes back
-- severity: error
-- source: live messages; resuming repeats nothing
-- why: The app shows the message twice, or rings twice.
-- hint: A stream that resumes with the last seen message and not after it, or from a time and not from a number.
-- parameter: run_id text = null
select
    received.run_id,
    received.client,
    received.stream as conversation_id,
    received.event_id as message_id,
    min(received.sequence) as sequence,
    count(*) as shown_count,
    string_agg(cast(received.operation_id as text), ' ') as operation_ids
from integrity.instainstru_received as received
where (:run_id is null or received.run_id = :run_id)
group by received.run_id, received.client, received.stream, received.event_id
having count(*) > 1
order by received.run_id, received.client, received.stream, received.event_id
