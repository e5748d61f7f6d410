-- title: a balance is the sum of the account's movements
-- severity: error
-- source: the balance is a cache of the movements
-- hint: look for a balance that is written from what was read before another call wrote it
select
    accounts.id                              as account_id,
    accounts.balance_minor,
    coalesce(sum(movements.amount_minor), 0) as movements_minor
from accounts
left join movements on movements.account_id = accounts.id
group by accounts.id, accounts.balance_minor
having accounts.balance_minor is distinct from coalesce(sum(movements.amount_minor), 0)
order by accounts.id
