-- title: a wallet's balance is the sum of its entries
-- severity: error
-- source: double-entry bookkeeping
select
    wallets.id as wallet_id,
    wallets.balance_minor,
    sum(entries.amount_minor) as entries_total_minor
from wallets
join entries on entries.wallet_id = wallets.id
group by wallets.id
having wallets.balance_minor is distinct from sum(entries.amount_minor)
order by wallets.id
