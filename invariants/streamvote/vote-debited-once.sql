-- title: an accepted vote is debited from its wallet exactly once, a declined one never
-- severity: error
-- source: double-entry bookkeeping; a vote is one entry
-- why: A vote without its debit is a vote for nothing; one debited twice is a viewer robbed.
-- hint: Vote and debit in different transactions, or a retry that debited again.
select
    votes.id as vote_id,
    votes.wallet_id,
    votes.is_accepted,
    votes.stars,
    count(entries.id) as debit_count,
    coalesce(sum(entries.amount_stars) filter (where entries.wallet_id = votes.wallet_id), 0) as debited_stars,
    cast(votes.operation_id as text) as operation_id
from streamvote.votes
left join streamvote.entries
    on entries.reference = votes.id and entries.kind = 'vote' and entries.account = 'wallet'
group by votes.id
having
    count(entries.id) <> case when votes.is_accepted then 1 else 0 end
    or coalesce(sum(entries.amount_stars) filter (where entries.wallet_id = votes.wallet_id), 0)
    <> case when votes.is_accepted then -votes.stars else 0 end
order by votes.id
