-- title: a wallet's balance equals the sum of its entries
-- severity: error
-- source: double-entry bookkeeping; balance_minor is a cache of entries
-- why: A balance that its entries do not explain is money that appeared or vanished.
-- hint: A balance read, computed outside the database and written back, or an entry whose balance update was lost.
select
    wallets.id as wallet_id,
    wallets.balance_minor,
    coalesce(sum(entries.amount_minor), 0) as entries_total_minor,
    string_agg(cast(entries.operation_id as text), ' ') as operation_ids
from safebox.wallets
left join safebox.entries on entries.wallet_id = wallets.id
group by wallets.id
having wallets.balance_minor is distinct from coalesce(sum(entries.amount_minor), 0)
order by wallets.id
