-- title: the wallets that share a budget spend no more than it allows
-- severity: error
-- source: the promise to whoever pays for a family; budgets.limit_stars
-- why: A child spends what the parents said it must not, and they want it back.
-- hint: Two wallets that each checked the sum and each wrote to its own row only: write skew, which repeatable read allows.
select
    budgets.id as budget_id,
    budgets.limit_stars,
    sum(wallets.spent_stars) as spent_stars,
    string_agg(cast(wallets.id as text), ' ') as wallet_ids
from streamvote.budgets
join streamvote.wallets on wallets.budget_id = budgets.id
group by budgets.id
having sum(wallets.spent_stars) > budgets.limit_stars
order by budgets.id
