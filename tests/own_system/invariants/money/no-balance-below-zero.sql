-- title: no balance is below zero
-- severity: error
-- source: nobody is lent money
select accounts.id as account_id, accounts.balance_minor
from accounts
where accounts.balance_minor < 0
order by accounts.id
