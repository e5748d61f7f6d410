-- title: a balance is the sum of the wallet's entries
select wallets.id as wallet_id, wallets.balance_minor, coalesce(sum(entries.amount_minor), 0) as entries_minor
from wallets
left join entries on entries.wallet_id = wallets.id
group by wallets.id, wallets.balance_minor
having wallets.balance_minor is distinct from coalesce(sum(entries.amount_minor), 0)
order by wallets.id
