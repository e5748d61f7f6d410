-- title: the same vote under the same key always gets the same answer
-- severity: error
-- source: exactly-once effects; an answer that was lost is asked for again
-- why: A client that is told no, then yes, or of two votes, cannot know what it has paid for.
-- hint: An answer that is not stored with its key, or stored in another transaction; a no must be remembered like a yes.
-- parameter: run_id text = null
select
    answered.wallet_id,
    answered.live_event_id,
    answered.choice,
    answered.idempotency_key,
    count(*) as answer_count,
    min(answered.answer) as one_answer,
    max(answered.answer) as another_answer
from (
    select
        cast(calls.arguments ->> 'wallet_id' as bigint) as wallet_id,
        cast(calls.arguments ->> 'live_event_id' as bigint) as live_event_id,
        cast(calls.arguments ->> 'choice' as bigint) as choice,
        calls.arguments ->> 'idempotency_key' as idempotency_key,
        coalesce(calls.reply ->> 'reason', 'vote ' || (calls.reply ->> 'vote_id')) as answer
    from integrity.streamvote_calls as calls
    where
        calls.operation = 'vote'
        and calls.outcome in ('ok', 'declined')
        and (:run_id is null or calls.run_id = :run_id)
) as answered
-- a no because of the rate limit is about the wallet's pace: the vote itself was not looked at
where answered.answer <> 'rate_limited'
group by answered.wallet_id, answered.live_event_id, answered.choice, answered.idempotency_key
having min(answered.answer) <> max(answered.answer)
order by answered.wallet_id, answered.idempotency_key, answered.live_event_id, answered.choice
