-- title: what an account has and what was taken from it are what it began with
-- severity: error
select accounts.id as account_id, accounts.balance_minor, accounts.withdrawn_minor
from accounts
where accounts.balance_minor + accounts.withdrawn_minor <> 1000
order by accounts.id
