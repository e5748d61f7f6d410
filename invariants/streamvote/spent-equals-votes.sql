-- title: what a wallet has spent equals the stars of its accepted votes
-- severity: error
-- source: spent_stars is a cache of votes, and what budgets are checked by
-- why: A budget that is checked by a wrong sum stops nobody, or the wrong ones.
-- hint: A sum read, raised in the application and written back, or a debit without its vote.
select
    wallets.id as wallet_id,
    wallets.budget_id,
    wallets.spent_stars,
    coalesce(sum(votes.stars), 0) as votes_total_stars,
    string_agg(cast(votes.operation_id as text), ' ') as operation_ids
from streamvote.wallets
left join streamvote.votes on votes.wallet_id = wallets.id and votes.is_accepted
group by wallets.id
having wallets.spent_stars is distinct from coalesce(sum(votes.stars), 0)
order by wallets.id
