-- title: who listened in a run: how often each opened a stream, and what was shown
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'instainstru' order by started_at desc limit 1
select
    calls.client,
    cast(calls.arguments ->> 'participant_id' as bigint) as participant_id,
    count(*) as opened_count,
    count(*) filter (where calls.outcome <> 'ok') as refused_count,
    coalesce(sum(shown.message_count), 0) as message_count,
    min(shown.sequence_least) as sequence_least,
    max(shown.sequence_most) as sequence_most
from integrity.calls
left join (
    select
        received.run_id,
        received.operation_id,
        count(*) as message_count,
        min(received.sequence) as sequence_least,
        max(received.sequence) as sequence_most
    from integrity.received
    group by received.run_id, received.operation_id
) as shown on shown.run_id = calls.run_id and shown.operation_id = calls.operation_id
where calls.operation = 'open_stream' and calls.run_id = :run_id
group by calls.client, cast(calls.arguments ->> 'participant_id' as bigint)
order by calls.client, participant_id
