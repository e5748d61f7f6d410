-- title: a wallet's stars equal the sum of its entries
-- severity: error
-- source: double-entry bookkeeping; balance_stars is a cache of entries
-- why: A balance that its entries do not explain is stars that appeared or vanished.
-- hint: A balance read, computed outside the database and written back, or an entry whose balance update was lost.
select
    wallets.id as wallet_id,
    wallets.balance_stars,
    coalesce(sum(entries.amount_stars), 0) as entries_total_stars,
    string_agg(cast(entries.operation_id as text), ' ') as operation_ids
from streamvote.wallets
left join streamvote.entries on entries.wallet_id = wallets.id
group by wallets.id
having wallets.balance_stars is distinct from coalesce(sum(entries.amount_stars), 0)
order by wallets.id
