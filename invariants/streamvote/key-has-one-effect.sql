-- title: an idempotency key of a wallet has one vote
-- severity: error
-- source: exactly-once effects; a client sends a vote again until it is answered
-- why: A vote sent twice counts twice, and is paid twice.
-- hint: The key was looked up, then inserted, without a unique constraint: two sendings both found nothing.
select
    votes.wallet_id,
    votes.idempotency_key,
    count(*) as vote_count,
    string_agg(cast(votes.id as text), ' ') as vote_ids,
    string_agg(cast(votes.operation_id as text), ' ') as operation_ids
from streamvote.votes
group by votes.wallet_id, votes.idempotency_key
having count(*) > 1
order by votes.wallet_id, votes.idempotency_key
