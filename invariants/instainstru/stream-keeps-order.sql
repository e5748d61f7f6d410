-- title: a listener is shown a conversation's messages in their order
-- severity: error
-- source: live messages; an answer is not shown before its question
-- why: A "yes" above another question than the one it answers.
-- hint: Messages brought in the order of their ids or times, which is not that in which they were committed.
-- parameter: run_id text = null
select
    shown.run_id,
    shown.client,
    shown.conversation_id,
    shown.message_id,
    shown.sequence,
    shown.previous_sequence,
    shown.received_at,
    cast(shown.operation_id as text) as operation_id
from (
    select
        received.run_id,
        received.number,
        received.client,
        received.stream as conversation_id,
        received.event_id as message_id,
        received.sequence,
        received.received_at,
        received.operation_id,
        lag(received.sequence) over (
            partition by received.run_id, received.client, received.stream order by received.number
        ) as previous_sequence
    from integrity.instainstru_received as received
    where (:run_id is null or received.run_id = :run_id)
) as shown
where shown.sequence < shown.previous_sequence
order by shown.run_id, shown.number
